package shell

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// run feeds a script to each shell that this machine has, as a container gets it.
func run(t *testing.T, script string, check func(t *testing.T, out string, code int)) {
	t.Helper()
	for _, shell := range []string{"sh", "bash"} {
		path, err := exec.LookPath(shell)
		if err != nil {
			continue
		}
		t.Run(shell, func(t *testing.T) {
			command := exec.Command(path)
			command.Stdin = strings.NewReader(script)
			out, err := command.CombinedOutput()
			code := 0
			if err != nil {
				var exit *exec.ExitError
				require.ErrorAs(t, err, &exit)
				code = exit.ExitCode()
			}
			check(t, string(out), code)
		})
	}
}

func TestQuoteKeepsAnyText(t *testing.T) {
	for _, text := range []string{"", "plain", "two words", "it's", `"$HOME" \n ` + "`id`", "line\nline", "-n", "*"} {
		w := &Writer{}
		w.Linef("printf '[%%s]' %s", Quote(text))
		run(t, w.Script(false), func(t *testing.T, out string, code int) {
			require.Zero(t, code)
			require.Equal(t, "["+text+"]", out)
		})
	}
}

func TestEndsAtTheFirstFailure(t *testing.T) {
	w := &Writer{}
	w.Line("echo one")
	w.Line("(exit 7)")
	w.Line("echo never")
	run(t, w.Script(false), func(t *testing.T, out string, code int) {
		require.Equal(t, 7, code)
		require.Equal(t, "one\n", out)
	})
}

func TestStandardInputIsEmpty(t *testing.T) {
	w := &Writer{}
	w.Line("cat")
	w.Line("echo end")
	run(t, w.Script(false), func(t *testing.T, out string, code int) {
		require.Zero(t, code)
		require.Equal(t, "end\n", out)
	})
}

func TestConditions(t *testing.T) {
	w := &Writer{}
	w.IfQuiet("false", "x")
	w.Notice("yes")
	w.ElseDo()
	w.Warning(`no \n %s`, "'quoted'")
	w.EndIf()
	w.IfDir("/")
	w.Line("echo root")
	w.EndIf()
	run(t, w.Script(false), func(t *testing.T, out string, code int) {
		require.Zero(t, code)
		require.Equal(t, "\x1b[0;33mno \\n 'quoted'\x1b[0;m\nroot\n", out)
	})
}

func TestVariables(t *testing.T) {
	w := &Writer{TempDir: t.TempDir()}
	w.Export("ONE", "a $b 'c'")
	w.ExportFile("CA", "line\nline\n")
	w.Line(`printf '%s|' "$ONE" "$CA"; cat "$CA"`)
	run(t, w.Script(false), func(t *testing.T, out string, code int) {
		require.Zero(t, code)
		require.Equal(t, "a $b 'c'|"+w.TempDir+"/CA|line\nline\n", out)
	})
}

func TestUmask(t *testing.T) {
	w := &Writer{Umask: true}
	w.Line("umask")
	run(t, w.Script(false), func(t *testing.T, out string, _ int) { require.Equal(t, "0000\n", out) })
}

func TestSection(t *testing.T) {
	w := &Writer{}
	w.Section("script_step_0", "$ one\ntwo")
	run(t, w.Script(false), func(t *testing.T, out string, code int) {
		require.Zero(t, code)
		require.Regexp(t, "^section_start:[0-9]+:section_script_step_0\\[hide_duration=true,collapsed=true\\]\r\x1b\\[0K"+
			"\x1b\\[32;1m\\$ one\ntwo\x1b\\[0;m\nsection_end:[0-9]+:section_script_step_0\r\x1b\\[0K\n$", out)
	})
}

func TestTraceShowsCommands(t *testing.T) {
	w := &Writer{}
	w.Line("echo shown")
	run(t, w.Script(true), func(t *testing.T, out string, _ int) { require.Contains(t, out, "+ echo shown") })
}
