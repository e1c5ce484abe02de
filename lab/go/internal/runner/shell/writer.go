// Package shell writes the scripts that containers run, for bash and for any POSIX shell.
package shell

import (
	"fmt"
	"path"
	"strings"
)

const (
	green  = "\x1b[32;1m"
	yellow = "\x1b[0;33m"
	reset  = "\x1b[0;m"
	clear  = "\x1b[0K"
)

// Detect runs the best shell that a container has, with what it is given on standard input.
const Detect = `if [ -x /usr/local/bin/bash ]; then
	exec /usr/local/bin/bash
elif [ -x /usr/bin/bash ]; then
	exec /usr/bin/bash
elif [ -x /bin/bash ]; then
	exec /bin/bash
elif [ -x /usr/local/bin/sh ]; then
	exec /usr/local/bin/sh
elif [ -x /usr/bin/sh ]; then
	exec /usr/bin/sh
elif [ -x /bin/sh ]; then
	exec /bin/sh
elif [ -x /busybox/sh ]; then
	exec /busybox/sh
else
	echo shell not found
	exit 1
fi
`

// Terminate asks all processes of a container to end, but itself and the first, the youngest first.
const Terminate = `PROCS=$(cd /proc && ls -rvd [0-9]*) &&
for P in $PROCS; do
	if [ $$ -ne $P ] && [ $P -ne 1 ]; then
		kill -TERM $P 2>/dev/null &&
		ATTEMPTS=6 &&
		while [ -e /proc/$P ] && [ $ATTEMPTS -gt 0 ]; do
			sleep 1 && ATTEMPTS=$((ATTEMPTS-1));
		done;
	fi;
done
`

// Quote makes a text one word of a shell.
func Quote(text string) string {
	if text != "" && strings.Trim(text, plain) == "" {
		return text
	}
	return "'" + strings.ReplaceAll(text, "'", `'"'"'`) + "'"
}

const plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./:=@%+,"

// Writer collects the lines of a script.
type Writer struct {
	text   strings.Builder
	indent int
	// TempDir is where the script keeps files of its own.
	TempDir string
	// CheckEach ends the script after a line that failed, also where errexit does not apply.
	CheckEach bool
	// Umask opens what the script writes to other users.
	Umask bool
}

// Line adds a line as it is.
func (w *Writer) Line(text string) {
	w.text.WriteString(strings.Repeat("  ", w.indent) + text + "\n")
}

// Linef adds a line.
func (w *Writer) Linef(format string, args ...any) { w.Line(fmt.Sprintf(format, args...)) }

// Check ends the script when the line before has failed, if that is wanted.
func (w *Writer) Check() {
	if w.CheckEach {
		w.Line("_runner_exit_code=$?; if [ $_runner_exit_code -ne 0 ]; then exit $_runner_exit_code; fi")
	}
}

// Words makes a command line of words.
func Words(words ...string) string {
	quoted := make([]string, len(words))
	for index, word := range words {
		quoted[index] = Quote(word)
	}
	return strings.Join(quoted, " ")
}

// Command runs a program; the script ends when it fails.
func (w *Writer) Command(words ...string) {
	w.Line(Words(words...))
	w.Check()
}

// Export sets an environment variable.
func (w *Writer) Export(key, value string) { w.Linef("export %s=%s", Quote(key), Quote(value)) }

// ExportFile writes a value to a file, and sets an environment variable to its path.
func (w *Writer) ExportFile(key, value string) {
	file := w.TempFile(key)
	w.Command("mkdir", "-p", w.TempDir)
	w.Linef("printf '%%s' %s > %s", Quote(value), Quote(file))
	w.Export(key, file)
}

// TempFile is the path of a file of the script's own.
func (w *Writer) TempFile(name string) string { return path.Join(w.TempDir, name) }

// If opens a condition, ElseDo its other side, and EndIf closes it.
func (w *Writer) If(condition string) {
	w.Linef("if %s; then", condition)
	w.indent++
}

// IfDir is If for a folder that exists.
func (w *Writer) IfDir(dir string) { w.If("[ -d " + Quote(dir) + " ]") }

// IfQuiet is If for a command whose output nobody wants.
func (w *Writer) IfQuiet(words ...string) { w.If(Words(words...) + " >/dev/null 2>&1") }

// ElseDo is what happens otherwise.
func (w *Writer) ElseDo() {
	w.indent--
	w.Line("else")
	w.indent++
}

// EndIf closes a condition.
func (w *Writer) EndIf() {
	w.indent--
	w.Line("fi")
}

// Notice prints a line in green.
func (w *Writer) Notice(format string, args ...any) { w.say(green, fmt.Sprintf(format, args...)) }

// Warning prints a line in yellow.
func (w *Writer) Warning(format string, args ...any) { w.say(yellow, fmt.Sprintf(format, args...)) }

func (w *Writer) say(color, text string) {
	// printf, since the echo of some shells interprets backslashes.
	w.Linef("printf '%%s\\n' %s", Quote(color+text+reset))
}

// Section prints a text as a collapsed section of the log.
func (w *Writer) Section(name, text string) {
	w.Linef(`printf 'section_start:%%s:section_%s[hide_duration=true,collapsed=true]\r%s%%s\n' "$(date +%%s)" %s`,
		name, clear, Quote(green+text+reset))
	w.Linef(`printf 'section_end:%%s:section_%s\r%s\n' "$(date +%%s)"`, name, clear)
}

// Script is the whole, to be fed to a shell's standard input.
func (w *Writer) Script(trace bool) string {
	var all strings.Builder
	all.WriteString("trap 'exit 1' TERM\n")
	if w.Umask {
		all.WriteString("umask 0000\n")
	}
	if trace {
		all.WriteString("set -o xtrace\n")
	}
	all.WriteString("if set -o | grep pipefail > /dev/null; then set -o pipefail; fi; set -o errexit\n")
	all.WriteString("set +o noclobber\n")
	// The script's own standard input stays empty: commands that read it must not eat the script.
	// Without the parentheses bash would turn any failure into exit status 1.
	all.WriteString(": | (eval " + Quote(w.text.String()) + ")\n")
	all.WriteString("exit 0\n")
	return all.String()
}
