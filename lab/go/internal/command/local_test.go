package command_test

import (
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/property"

	"gitlab-runner-proxmox/lab/internal/plugintest"
)

func TestLocalCommandsRunHere(t *testing.T) {
	engine := start(t)
	folder := t.TempDir()
	made := engine.Up(localType, plugintest.Map(map[string]any{
		"create": "read -r word; echo $word $FOO $(pwd)", "stdin": "hello", "dir": folder,
		"environment": map[string]any{"FOO": "bar"},
	}))
	if out, want := made.State.Get("stdout").AsString(), "hello bar "+folder; out != want {
		t.Errorf("stdout %q, want %q", out, want)
	}
	if !regexp.MustCompile(`^[0-9a-f]{8}$`).MatchString(made.ID) {
		t.Errorf("id %q", made.ID)
	}
	other := engine.Up(localType, plugintest.Map(map[string]any{
		"create": "print 'by another interpreter'", "interpreter": []any{"perl", "-e"},
	}))
	if out := other.State.Get("stdout").AsString(); out != "by another interpreter" {
		t.Errorf("stdout %q", out)
	}
}

func TestLocalCommandsHaveALifeOfTheirOwn(t *testing.T) {
	engine := start(t)
	folder := t.TempDir()
	inputs := func(more map[string]any) property.Map {
		return plugintest.Map(with(map[string]any{
			"create": "echo create >> record", "delete": "echo delete:$PULUMI_COMMAND_STDOUT >> record", "dir": folder,
		}, more))
	}
	engine.PreviewCreate(localType, inputs(nil))
	made := engine.Up(localType, inputs(nil))
	made.UpdateTo(inputs(map[string]any{"stdin": "x"}))
	made.UpdateTo(inputs(map[string]any{"update": "echo update >> record; echo last"}))
	if _, err := made.TryUpdate(inputs(map[string]any{"update": "echo never >> record"}), true); err != nil {
		t.Error(err)
	}
	if err := made.TryDelete(); err != nil {
		t.Error(err)
	}
	got := plugintest.ReadFiles(t, folder)["record"]
	if want := "create\ncreate\nupdate\ndelete:last\n"; got != want {
		t.Errorf("ran %q, want %q", got, want)
	}
}

func TestALocalFailureTellsStatusCommandAndOutput(t *testing.T) {
	_, err := start(t).TryUp(localType, plugintest.Map(map[string]any{"create": "echo out; exit 3"}))
	if want := "exit status 3: running \"echo out; exit 3\":\nout\n"; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
	if _, err := start(t).TryUp(localType, plugintest.Map(map[string]any{"create": "true", "dir": "/no/such"})); err == nil {
		t.Error("a missing folder is no error")
	}
}

func TestLocalStdinStaysSecret(t *testing.T) {
	inputs := plugintest.Map(map[string]any{"create": "cat"}).Set("stdin", property.New("s3cr3t").WithSecret(true))
	made := start(t).Up(localType, inputs)
	if !made.State.Get("stdin").Secret() || made.State.Get("stdout").AsString() != "s3cr3t" {
		t.Errorf("state: %v", made.State)
	}
}

func TestFilesAreCollectedByPatterns(t *testing.T) {
	folder := t.TempDir()
	plugintest.WriteFiles(t, folder, map[string]string{
		"assets/logos/logo.svg": "", "src/index.js": "", "src/deep/util.js": "", "src/secret.js": "", "top.js": "", "readme": "",
	})
	for _, test := range []struct {
		patterns []any
		want     []string
	}{
		{[]any{"assets/**", "src/**.js", "!**secret.*"}, []string{"assets/logos/logo.svg", "src/deep/util.js", "src/index.js"}},
		{[]any{"*.js"}, []string{"top.js"}},
		{[]any{"!top.js", "*.js"}, []string{"top.js"}},
		{[]any{"*"}, []string{"readme", "top.js"}},
	} {
		made := start(t).Up(localType, plugintest.Map(map[string]any{
			"create": "true", "dir": folder, "assetPaths": test.patterns, "archivePaths": test.patterns,
		}))
		assets := made.State.Get("assets").AsMap().AsMap()
		if got := slices.Sorted(maps.Keys(assets)); !slices.Equal(got, test.want) {
			t.Errorf("%v: assets %v, want %v", test.patterns, got, test.want)
		}
		archive := made.State.Get("archive").AsMap().Get("assets").AsMap().AsMap()
		if got := slices.Sorted(maps.Keys(archive)); !slices.Equal(got, test.want) {
			t.Errorf("%v: archive %v, want %v", test.patterns, got, test.want)
		}
		for name, asset := range assets {
			if got, want := asset.AsMap().Get("path").AsString(), filepath.Join(folder, name); got != want {
				t.Errorf("%s is at %s, want %s", name, got, want)
			}
		}
	}
	_, err := start(t).TryUp(localType, plugintest.Map(map[string]any{
		"create": "true", "dir": folder, "assetPaths": []any{"[a"},
	}))
	if err == nil {
		t.Error("a pattern without an end is no error")
	}
}
