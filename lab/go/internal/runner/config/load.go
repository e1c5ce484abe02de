// Package config reads the runner's config.toml: every key that gitlab-runner 19.3 accepts, with
// its type.
package config

import (
	"errors"
	"fmt"
	"os"
	"reflect"
	"regexp"
	"strings"
	"time"

	"github.com/BurntSushi/toml"
)

// Invalid is the error of a file whose values have wrong types: all of them at once.
type Invalid struct {
	Problems []Problem
	// Unknown keys of the same file, which are no error by themselves.
	Unknown []Problem
}

func (e *Invalid) Error() string {
	lines := make([]string, len(e.Problems))
	for index, problem := range e.Problems {
		lines[index] = problem.String()
	}
	return strings.Join(lines, "; ")
}

// Loaded is a file that was read and understood.
type Loaded struct {
	*Config
	// Unknown are the keys that the runner does not know; lint refuses them, run ignores them.
	Unknown []Problem
	// Violations are values that the runner's schema does not allow; lint refuses them, run warns.
	Violations []Problem
	// ModTime is the file's age when it was read; zero when there was no file.
	ModTime time.Time
}

// Default is the configuration of a runner without a file.
func Default() *Loaded {
	return &Loaded{Config: &Config{Concurrent: 1}}
}

// Load reads a file. The error is fs.ErrNotExist when there is none, *Invalid for values of wrong
// types, and otherwise says where the syntax is broken.
func Load(file string) (*Loaded, error) {
	info, err := os.Stat(file)
	if err != nil {
		return nil, err
	}
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	loaded, err := Parse(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	loaded.ModTime = info.ModTime()
	return loaded, nil
}

// Parse reads the text of a file.
func Parse(data []byte) (*Loaded, error) {
	raw := map[string]any{}
	if _, err := toml.Decode(string(data), &raw); err != nil {
		var syntax toml.ParseError
		if errors.As(err, &syntax) {
			return nil, fmt.Errorf("line %d: %s", syntax.Position.Line, syntax.Message)
		}
		return nil, err
	}
	var check checker
	check.table(raw, reflect.TypeFor[Config](), "")
	if len(check.invalid) > 0 {
		return nil, &Invalid{Problems: check.invalid, Unknown: check.unknown}
	}
	loaded := Default()
	if _, err := toml.Decode(string(data), loaded.Config); err != nil {
		return nil, err
	}
	loaded.Unknown = check.unknown
	for _, runner := range loaded.Runners {
		runner.Token = os.ExpandEnv(runner.Token)
		runner.URL = os.ExpandEnv(runner.URL)
	}
	loaded.Violations = loaded.violations()
	return loaded, nil
}

// Lint says everything that is wrong with a file, in one error and in the real runner's words.
func Lint(file string) error {
	data, err := os.ReadFile(file)
	if err != nil {
		if os.IsNotExist(err) {
			return fmt.Errorf("config file not found: %s", file)
		}
		return err
	}
	loaded, err := Parse(data)
	var invalid *Invalid
	var unknown []Problem
	var parts []string
	switch {
	case errors.As(err, &invalid):
		unknown = invalid.Unknown
		parts = append(parts, "decoding config: "+lines(invalid.Problems))
	case err != nil:
		return fmt.Errorf("decoding config: %s: %w", file, err)
	default:
		unknown = loaded.Unknown
		if len(loaded.Violations) > 0 {
			parts = append(parts, "config schema validation failed: "+lines(loaded.Violations))
		}
	}
	if len(unknown) > 0 {
		text := fmt.Sprintf("%d unknown key(s) found in %s:", len(unknown), file)
		for _, problem := range unknown {
			// As the real runner names them: without the number of the runner.
			text += "\n  unknown key: " + indexes.ReplaceAllString(problem.Path, "")
		}
		parts = append(parts, text)
	}
	if len(parts) == 0 {
		return nil
	}
	return errors.New(strings.Join(parts, "\n"))
}

var indexes = regexp.MustCompile(`\[\d+\]`)

func lines(problems []Problem) string {
	text := ""
	for _, problem := range problems {
		text += "\n  " + problem.String()
	}
	return text
}
