// Package local holds what runs a command on the machine that runs Pulumi.
package local

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"strings"

	"github.com/gobwas/glob"
	"github.com/pulumi/pulumi-go-provider/infer"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"

	"gitlab-runner-proxmox/lab/internal/command/shared"
)

// Logging says which of a command's streams are shown while it runs. Default: both.
type Logging string

// Values lists what the SDK may send.
func (Logging) Values() []infer.EnumValue[Logging] {
	return []infer.EnumValue[Logging]{
		{Name: shared.LogStdout, Value: shared.LogStdout, Description: "Show stdout only"},
		{Name: shared.LogStderr, Value: shared.LogStderr, Description: "Show stderr only"},
		{Name: shared.LogStdoutAndStderr, Value: shared.LogStdoutAndStderr, Description: "Show both"},
		{Name: shared.LogNone, Value: shared.LogNone, Description: "Show nothing"},
	}
}

// Settings is what may be said of how a command line is run.
type Settings struct {
	Stdin                  *string           `pulumi:"stdin,optional"`
	Logging                *Logging          `pulumi:"logging,optional"`
	Interpreter            *[]string         `pulumi:"interpreter,optional"`
	Dir                    *string           `pulumi:"dir,optional"`
	Environment            map[string]string `pulumi:"environment,optional"`
	AssetPaths             *[]string         `pulumi:"assetPaths,optional"`
	ArchivePaths           *[]string         `pulumi:"archivePaths,optional"`
	AddPreviousOutputInEnv *bool             `pulumi:"addPreviousOutputInEnv,optional"`
}

// Outcome is what a run leaves.
type Outcome struct {
	Stdout  string                      `pulumi:"stdout"`
	Stderr  string                      `pulumi:"stderr"`
	Assets  *map[string]*resource.Asset `pulumi:"assets,optional"`
	Archive *resource.Archive           `pulumi:"archive,optional"`
}

// run runs one command line; its outcome replaces the last one's.
func (s *Settings) run(ctx context.Context, line string, outcome *Outcome) error {
	interpreter := []string{"/bin/sh", "-c"}
	if s.Interpreter != nil && len(*s.Interpreter) > 0 {
		interpreter = *s.Interpreter
	}
	args := append(append([]string{}, interpreter[1:]...), line)
	command := exec.CommandContext(ctx, interpreter[0], args...)
	folder, err := s.folder()
	if err != nil {
		return err
	}
	command.Dir = folder
	command.Env = os.Environ()
	for name, value := range s.Environment {
		command.Env = append(command.Env, name+"="+value)
	}
	for name, value := range shared.Previous(s.AddPreviousOutputInEnv, outcome.Stdout, outcome.Stderr) {
		command.Env = append(command.Env, name+"="+value)
	}
	if s.Stdin != nil {
		command.Stdin = strings.NewReader(*s.Stdin)
	}
	capture := shared.NewCapture(ctx, shared.Shown(s.Logging))
	command.Stdout, command.Stderr = capture.Stdout, capture.Stderr
	err = command.Run()
	stdout, stderr, all := capture.Results()
	if err != nil {
		return fmt.Errorf("%w: running %q:\n%s", err, line, all)
	}
	if err := s.collect(folder, outcome); err != nil {
		return err
	}
	outcome.Stdout, outcome.Stderr = stdout, stderr
	return nil
}

func (s *Settings) folder() (string, error) {
	if s.Dir != nil {
		return *s.Dir, nil
	}
	return os.Getwd()
}

// collect finds the files that the program wants to have as assets and as one archive.
func (s *Settings) collect(folder string, outcome *Outcome) error {
	if s.AssetPaths != nil {
		assets, err := find(folder, *s.AssetPaths)
		if err != nil {
			return err
		}
		outcome.Assets = &assets
	}
	if s.ArchivePaths != nil {
		assets, err := find(folder, *s.ArchivePaths)
		if err != nil {
			return err
		}
		members := map[string]any{}
		for name, asset := range assets {
			members[name] = asset
		}
		archive, err := resource.NewAssetArchive(members)
		if err != nil {
			return err
		}
		outcome.Archive = archive
	}
	return nil
}

// find gives the files of a folder that the patterns name. They count in their order; one that
// starts with "!" takes files away again. "*" stops at a slash, "**" does not.
func find(folder string, patterns []string) (map[string]*resource.Asset, error) {
	type rule struct {
		glob.Glob
		takesAway bool
	}
	rules := make([]rule, len(patterns))
	for i, pattern := range patterns {
		pattern, takesAway := strings.CutPrefix(pattern, "!")
		compiled, err := glob.Compile(pattern, '/')
		if err != nil {
			return nil, err
		}
		rules[i] = rule{compiled, takesAway}
	}
	found := map[string]*resource.Asset{}
	err := fs.WalkDir(os.DirFS(folder), ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		wanted := false
		for _, rule := range rules {
			if rule.Match(name) {
				wanted = !rule.takesAway
			}
		}
		if !wanted {
			return nil
		}
		found[name], err = resource.NewPathAsset(path.Join(folder, name))
		return err
	})
	return found, err
}
