package joblog

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"time"
)

const (
	reset     = "\x1b[0;m"
	boldRed   = "\x1b[31;1m"
	boldGreen = "\x1b[32;1m"
	boldCyan  = "\x1b[36;1m"
	yellow    = "\x1b[0;33m"
	clearLine = "\x1b[0K"
)

// Streams of a log.
const (
	// Own is the runner's own.
	Own byte = 0
	// Work is what containers print.
	Work byte = 1
)

// Options of a log.
type Options struct {
	// Masked are values that must not be read in the log.
	Masked []string
	// TokenPrefixes begin tokens whose rest is masked.
	TokenPrefixes []string
	// DefaultTokens masks GitLab's own kinds of tokens too.
	DefaultTokens bool
	// Stamps puts time and stream before each line.
	Stamps bool
	// Sections marks the parts of the log, for those who show it.
	Sections bool
}

// Log is a job's log.
type Log struct {
	options Options
	secrets []secret
	buffer  *Buffer

	mu  sync.Mutex
	own io.WriteCloser
}

// New returns the log that is kept in a buffer.
func New(buffer *Buffer, options Options) *Log {
	l := &Log{
		options: options,
		secrets: secretsOf(options.Masked, options.TokenPrefixes, options.DefaultTokens),
		buffer:  buffer,
	}
	l.own = l.Stream(Own, 'O')
	return l
}

type stream struct {
	io.Writer
	closers []io.Closer
}

func (s *stream) Close() error {
	for _, closer := range s.closers {
		if err := closer.Close(); err != nil {
			return err
		}
	}
	return nil
}

// Stream is a writer into the log. kind is O or E, for output and errors. The writer has to be
// closed, and is not safe for concurrent use.
func (l *Log) Stream(number, kind byte) io.WriteCloser {
	if !l.options.Stamps {
		masker := newMasker(l.buffer, l.secrets)
		return &stream{masker, []io.Closer{masker}}
	}
	stamper := newStamper(l.buffer, number, kind)
	masker := newMasker(stamper, l.secrets)
	return &stream{masker, []io.Closer{masker, stamper}}
}

func (l *Log) print(text string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	_, _ = io.WriteString(l.own, text)
}

func line(args []any) string { return strings.TrimSuffix(fmt.Sprintln(args...), "\n") }

// Println writes a plain line.
func (l *Log) Println(args ...any) { l.print(line(args) + "\n") }

// Info writes a line in green.
func (l *Log) Info(args ...any) { l.print(boldGreen + line(args) + reset + "\n") }

// Warning writes a line in yellow.
func (l *Log) Warning(args ...any) { l.print(yellow + "WARNING: " + line(args) + reset + "\n") }

// Error writes a line in red.
func (l *Log) Error(args ...any) { l.print(boldRed + "ERROR: " + line(args) + reset + "\n") }

// Section runs a part of the job under a heading.
func (l *Log) Section(name, heading string, run func() error) error {
	if l.options.Sections {
		l.print(fmt.Sprintf("section_start:%d:%s\r%s", time.Now().Unix(), name, clearLine))
		defer func() {
			l.print(fmt.Sprintf("section_end:%d:%s\r%s\n", time.Now().Unix(), name, clearLine))
		}()
	}
	l.Println(boldCyan + heading + reset)
	return run()
}

// Close writes what is held back.
func (l *Log) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.own.Close()
}
