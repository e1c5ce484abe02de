// Package logging writes the runner's own log to standard error, in the three formats that
// config.toml knows.
package logging

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"sort"
	"strings"
	"sync"
	"time"
)

// Level of a message; messages below the logger's level are dropped.
type Level int

// The levels, in order.
const (
	Debug Level = iota
	Info
	Warning
	Error
	Fatal
	Panic
)

var levelNames = []string{"debug", "info", "warning", "error", "fatal", "panic"}

func (l Level) String() string { return levelNames[l] }

// ParseLevel reads the log_level of config.toml.
func ParseLevel(name string) (Level, error) {
	switch strings.ToLower(name) {
	case "warn":
		return Warning, nil
	case "trace":
		return Debug, nil
	}
	for level, known := range levelNames {
		if strings.EqualFold(name, known) {
			return Level(level), nil
		}
	}
	return Info, fmt.Errorf("log_level %q is not one of %s", name, strings.Join(levelNames, ", "))
}

// Formats that log_format may name.
const (
	FormatRunner = "runner"
	FormatText   = "text"
	FormatJSON   = "json"
)

// ParseFormat checks the log_format of config.toml.
func ParseFormat(name string) (string, error) {
	switch name {
	case FormatRunner, FormatText, FormatJSON:
		return name, nil
	}
	return "", fmt.Errorf("log_format %q is not one of runner, text, json", name)
}

// Fields are what a message is about, besides its text.
type Fields map[string]any

type sink struct {
	mu     sync.Mutex
	out    io.Writer
	level  Level
	format string
	hooks  []func(Level)
}

// Logger writes messages with the fields that it carries. Safe for concurrent use.
type Logger struct {
	sink   *sink
	fields Fields
}

// New returns a logger in the runner's own format at level info.
func New(out io.Writer) *Logger {
	return &Logger{sink: &sink{out: out, level: Info, format: FormatRunner}}
}

// Configure changes level and format of this logger and of all that were derived from it.
func (l *Logger) Configure(level Level, format string) {
	l.sink.mu.Lock()
	defer l.sink.mu.Unlock()
	l.sink.level, l.sink.format = level, format
}

// Level is the level below which messages are dropped.
func (l *Logger) Level() Level {
	l.sink.mu.Lock()
	defer l.sink.mu.Unlock()
	return l.sink.level
}

// Format is how messages are written.
func (l *Logger) Format() string {
	l.sink.mu.Lock()
	defer l.sink.mu.Unlock()
	return l.sink.format
}

// OnMessage registers a function that hears of every message that is written.
func (l *Logger) OnMessage(hook func(Level)) {
	l.sink.mu.Lock()
	defer l.sink.mu.Unlock()
	l.sink.hooks = append(l.sink.hooks, hook)
}

// With returns a logger whose messages carry these fields too.
func (l *Logger) With(fields Fields) *Logger {
	all := make(Fields, len(l.fields)+len(fields))
	for key, value := range l.fields {
		all[key] = value
	}
	for key, value := range fields {
		all[key] = value
	}
	return &Logger{sink: l.sink, fields: all}
}

// WithError returns a logger whose messages carry the error.
func (l *Logger) WithError(err error) *Logger { return l.With(Fields{"error": err.Error()}) }

// Debug writes a message for whoever looks for a fault.
func (l *Logger) Debug(args ...any) { l.log(Debug, args) }

// Info writes a message on normal work.
func (l *Logger) Info(args ...any) { l.log(Info, args) }

// Warning writes a message on something that an operator should look at.
func (l *Logger) Warning(args ...any) { l.log(Warning, args) }

// Error writes a message on something that did not work.
func (l *Logger) Error(args ...any) { l.log(Error, args) }

// Report writes a message of any level, and goes on.
func (l *Logger) Report(level Level, args ...any) { l.log(level, args) }

// Fatal writes a message and ends the process with status 1.
func (l *Logger) Fatal(args ...any) {
	l.log(Fatal, args)
	os.Exit(1)
}

func (l *Logger) log(level Level, args []any) {
	s := l.sink
	s.mu.Lock()
	defer s.mu.Unlock()
	if level < s.level {
		return
	}
	message := strings.TrimSuffix(fmt.Sprintln(args...), "\n")
	_, _ = io.WriteString(s.out, render(s.format, level, time.Now(), message, l.fields))
	for _, hook := range s.hooks {
		hook(level)
	}
}

func render(format string, level Level, now time.Time, message string, fields Fields) string {
	keys := make([]string, 0, len(fields))
	for key := range fields {
		keys = append(keys, key)
	}
	sort.Strings(keys)
	var line strings.Builder
	switch format {
	case FormatJSON:
		entry := make(map[string]any, len(fields)+3)
		for key, value := range fields {
			entry[key] = value
		}
		entry["level"], entry["msg"], entry["time"] = level.String(), message, now.Format(time.RFC3339)
		encoder := json.NewEncoder(&line)
		encoder.SetEscapeHTML(false)
		if err := encoder.Encode(entry); err != nil {
			fmt.Fprintf(&line, "{\"level\":\"error\",\"msg\":%q}\n", "unprintable message: "+err.Error())
		}
		return line.String()
	case FormatText:
		fmt.Fprintf(&line, "time=%s level=%s msg=%s",
			quote(now.Format(time.RFC3339)), level, quote(message))
		for _, key := range keys {
			fmt.Fprintf(&line, " %s=%s", key, quote(fmt.Sprint(fields[key])))
		}
	default:
		if level >= Warning {
			fmt.Fprintf(&line, "%s: ", strings.ToUpper(level.String()))
		}
		if len(keys) == 0 {
			line.WriteString(message)
			break
		}
		fmt.Fprintf(&line, "%-50s ", message)
		for _, key := range keys {
			fmt.Fprintf(&line, " %s=%s", key, quote(fmt.Sprint(fields[key])))
		}
	}
	line.WriteByte('\n')
	return line.String()
}

func quote(text string) string {
	for _, char := range text {
		plain := char == '-' || char == '.' || char == '_' || char == '/' || char == '@' || char == '^' ||
			char == '+' || char == ':' || (char >= '0' && char <= '9') ||
			(char >= 'a' && char <= 'z') || (char >= 'A' && char <= 'Z')
		if !plain {
			return fmt.Sprintf("%q", text)
		}
	}
	if text == "" {
		return `""`
	}
	return text
}
