// Package shared is what remote and local commands have in common: ids, which streams are shown,
// and the way a command's output is shown while it runs.
package shared

import (
	"bytes"
	"context"
	"io"
	"sync"

	p "github.com/pulumi/pulumi-go-provider"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
)

// Names of the variables in which a command finds what the run before it printed.
const (
	PreviousStdout = "PULUMI_COMMAND_STDOUT"
	PreviousStderr = "PULUMI_COMMAND_STDERR"
)

// What a command's `logging` may say; local and remote have each a type of their own in the schema.
const (
	LogStdout          = "stdout"
	LogStderr          = "stderr"
	LogStdoutAndStderr = "stdoutAndStderr"
	LogNone            = "none"
)

// Streams is a choice of a command's streams.
type Streams struct{ Stdout, Stderr bool }

// Shown tells which streams are shown while the command runs; nil stands for the default, both.
func Shown[T ~string](logging *T) Streams {
	if logging == nil {
		return Streams{Stdout: true, Stderr: true}
	}
	return Streams{
		Stdout: *logging == LogStdout || *logging == LogStdoutAndStderr,
		Stderr: *logging == LogStderr || *logging == LogStdoutAndStderr,
	}
}

// NewID makes the id of a resource: eight random hex digits.
func NewID() (string, error) { return resource.NewUniqueHex("", 8, 0) }

// Previous is what the last run printed, as variables; a stream that was empty is left out.
func Previous(wanted *bool, stdout, stderr string) map[string]string {
	previous := map[string]string{}
	if wanted != nil && !*wanted {
		return previous
	}
	if stdout != "" {
		previous[PreviousStdout] = stdout
	}
	if stderr != "" {
		previous[PreviousStderr] = stderr
	}
	return previous
}

// Capture collects what a command prints, and shows it beside the resource while it runs.
type Capture struct {
	Stdout io.Writer
	Stderr io.Writer

	mu       sync.Mutex
	stdout   bytes.Buffer
	stderr   bytes.Buffer
	combined bytes.Buffer
	pending  []byte
	show     func(string)
}

// NewCapture prepares for one run of a command.
func NewCapture(ctx context.Context, shown Streams) *Capture {
	c := &Capture{show: p.GetLogger(ctx).InfoStatus}
	c.Stdout = &stream{capture: c, own: &c.stdout, shown: shown.Stdout}
	c.Stderr = &stream{capture: c, own: &c.stderr, shown: shown.Stderr}
	return c
}

// Results gives each stream without its last newline, and everything in the order of its printing.
func (c *Capture) Results() (stdout, stderr, combined string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.pending) > 0 {
		c.show(string(c.pending))
		c.pending = nil
	}
	trim := func(b *bytes.Buffer) string { return string(bytes.TrimSuffix(b.Bytes(), []byte("\n"))) }
	return trim(&c.stdout), trim(&c.stderr), c.combined.String()
}

type stream struct {
	capture *Capture
	own     *bytes.Buffer
	shown   bool
}

// Write keeps the data and shows the lines that it completes.
func (s *stream) Write(data []byte) (int, error) {
	c := s.capture
	c.mu.Lock()
	defer c.mu.Unlock()
	s.own.Write(data)
	c.combined.Write(data)
	if !s.shown {
		return len(data), nil
	}
	c.pending = append(c.pending, data...)
	for {
		line, rest, found := bytes.Cut(c.pending, []byte("\n"))
		if !found {
			return len(data), nil
		}
		c.show(string(bytes.TrimSuffix(line, []byte("\r"))))
		c.pending = rest
	}
}
