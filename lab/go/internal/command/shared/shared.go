// Package shared is what remote and local commands have in common: ids, and the way their output
// is shown while they run.
package shared

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"io"
	"sync"

	p "github.com/pulumi/pulumi-go-provider"
	"github.com/pulumi/pulumi-go-provider/infer"
)

// Logging says which of a command's streams are shown while it runs. Default: both.
type Logging string

const (
	LogStdout          Logging = "stdout"
	LogStderr          Logging = "stderr"
	LogStdoutAndStderr Logging = "stdoutAndStderr"
	LogNone            Logging = "none"
)

// Values lists what the SDK may send.
func (Logging) Values() []infer.EnumValue[Logging] {
	return []infer.EnumValue[Logging]{
		{Name: "Stdout", Value: LogStdout, Description: "Show stdout only"},
		{Name: "Stderr", Value: LogStderr, Description: "Show stderr only"},
		{Name: "StdoutAndStderr", Value: LogStdoutAndStderr, Description: "Show both"},
		{Name: "None", Value: LogNone, Description: "Show nothing"},
	}
}

// ShowsStdout tells whether stdout is shown; nil stands for the default.
func (l *Logging) ShowsStdout() bool {
	return l == nil || *l == LogStdout || *l == LogStdoutAndStderr
}

// ShowsStderr tells whether stderr is shown; nil stands for the default.
func (l *Logging) ShowsStderr() bool {
	return l == nil || *l == LogStderr || *l == LogStdoutAndStderr
}

// NewID makes the id of a resource: ten random bytes or fewer, in hex.
func NewID(name string) (string, error) {
	random := make([]byte, 5)
	if _, err := rand.Read(random); err != nil {
		return "", err
	}
	return name + hex.EncodeToString(random), nil
}

// Streams collects what a command prints, and shows it beside the resource while it runs.
type Streams struct {
	Stdout io.Writer
	Stderr io.Writer

	mu       sync.Mutex
	stdout   bytes.Buffer
	stderr   bytes.Buffer
	combined bytes.Buffer
	lines    []*lineWriter
}

// NewStreams prepares the streams of one command.
func NewStreams(ctx context.Context, logging *Logging) *Streams {
	s := &Streams{}
	show := p.GetLogger(ctx).InfoStatus
	s.Stdout = s.writer(&s.stdout, logging.ShowsStdout(), show)
	s.Stderr = s.writer(&s.stderr, logging.ShowsStderr(), show)
	return s
}

func (s *Streams) writer(own *bytes.Buffer, shown bool, show func(string)) io.Writer {
	writers := []io.Writer{locked{&s.mu, own}, locked{&s.mu, &s.combined}}
	if shown {
		lines := &lineWriter{show: show}
		s.lines = append(s.lines, lines)
		writers = append(writers, lines)
	}
	return io.MultiWriter(writers...)
}

// Results gives both streams, without the last newline, and all that was printed in its order.
func (s *Streams) Results() (stdout, stderr, combined string) {
	for _, lines := range s.lines {
		lines.flush()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	trim := func(b *bytes.Buffer) string { return string(bytes.TrimSuffix(b.Bytes(), []byte("\n"))) }
	return trim(&s.stdout), trim(&s.stderr), s.combined.String()
}

type locked struct {
	mu *sync.Mutex
	w  io.Writer
}

func (l locked) Write(data []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(data)
}

// lineWriter hands on whole lines.
type lineWriter struct {
	mu      sync.Mutex
	pending []byte
	show    func(string)
}

func (w *lineWriter) Write(data []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.pending = append(w.pending, data...)
	scanner := bufio.NewScanner(bytes.NewReader(w.pending))
	scanner.Buffer(nil, len(w.pending)+1)
	end := bytes.LastIndexByte(w.pending, '\n') + 1
	for read := 0; read < end && scanner.Scan(); read += len(scanner.Bytes()) + 1 {
		w.show(scanner.Text())
	}
	w.pending = w.pending[end:]
	return len(data), nil
}

func (w *lineWriter) flush() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.pending) > 0 {
		w.show(string(w.pending))
		w.pending = nil
	}
}
