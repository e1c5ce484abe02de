package build

import (
	"errors"
	"fmt"
	"strings"

	"gitlab-runner-proxmox/lab/internal/runner/api"
	"gitlab-runner-proxmox/lab/internal/runner/shell"
)

// helperCommand is where the helper is in the helper's image.
const helperCommand = "/usr/bin/gitlab-runner-helper"

// envFile collects variables that one stage leaves for the next.
const envFile = "gitlab_runner_env"

// errNothingToDo says that a stage has no work for this job.
var errNothingToDo = errors.New("nothing to do")

// script writes what a stage runs.
func (b *Build) script(stage Stage) (string, error) {
	w := &shell.Writer{
		TempDir:   b.TempDir(),
		CheckEach: b.Flag(FlagExitCodeCheck),
		Umask:     stage.Predefined() && !b.Flag(FlagDisableUmask),
	}
	writers := map[Stage]func(*shell.Writer) error{
		PrepareScript:            b.writePrepare,
		GetSources:               b.writeGetSources,
		ClearWorktree:            b.writeClearWorktree,
		RestoreCache:             b.writeRestoreCache,
		DownloadArtifacts:        b.writeDownloadArtifacts,
		UserScript:               b.writeUserScript,
		AfterScript:              b.writeAfterScript,
		ArchiveCache:             func(w *shell.Writer) error { return b.writeArchiveCache(w, true) },
		ArchiveCacheOnFailure:    func(w *shell.Writer) error { return b.writeArchiveCache(w, false) },
		UploadArtifactsOnSuccess: func(w *shell.Writer) error { return b.writeUploadArtifacts(w, true) },
		UploadArtifactsOnFailure: func(w *shell.Writer) error { return b.writeUploadArtifacts(w, false) },
		CleanupFileVariables:     b.writeCleanup,
	}
	if err := writers[stage](w); err != nil {
		return "", err
	}
	return w.Script(b.Debug()), nil
}

// Debug tells whether scripts show each command that they run, with all that it holds.
func (b *Build) Debug() bool {
	return !b.Runner.DebugTraceDisabled && b.Variables().Bool("CI_DEBUG_TRACE")
}

func (b *Build) writePrepare(w *shell.Writer) error {
	w.Line(`echo "Running on $(hostname) via ` + strings.ReplaceAll(b.Hostname, `"`, "") + `..."`)
	w.Command("rm", "-f", w.TempFile(envFile))
	return nil
}

func (b *Build) writeExports(w *shell.Writer) {
	for _, variable := range b.Variables() {
		if variable.File {
			w.ExportFile(variable.Key, variable.Value)
		} else {
			w.Export(variable.Key, variable.Value)
		}
	}
	w.Export("GITLAB_ENV", w.TempFile(envFile))
	w.Command("mkdir", "-p", w.TempDir)
	w.Command("touch", w.TempFile(envFile))
	w.Linef(`while read -r line; do export "$line"; done < %s`, shell.Quote(w.TempFile(envFile)))
}

func (b *Build) writeCommands(w *shell.Writer, prefix string, commands []string) {
	for index, command := range commands {
		command = strings.TrimSpace(command)
		first, _, several := strings.Cut(command, "\n")
		switch {
		case command == "":
			w.Line("echo")
		case !several:
			w.Notice("$ %s", command)
		case b.Flag(FlagScriptSections) && b.Job.Features.TraceSections:
			w.Section(fmt.Sprintf("%s_%d", prefix, index), "$ "+command)
		default:
			w.Notice("$ %s # collapsed multi-line command", first)
		}
		w.Line(command)
		w.Check()
	}
}

func (b *Build) writeUserScript(w *shell.Writer) error {
	step := b.Step("script")
	if step == nil {
		return errNothingToDo
	}
	b.writeExports(w)
	w.Command("cd", b.ProjectDir())
	if b.Runner.PreBuildScript != "" {
		b.writeCommands(w, "pre_build_script", []string{b.Runner.PreBuildScript})
	}
	b.writeCommands(w, "script_step", step.Script)
	if b.Runner.PostBuildScript != "" {
		b.writeCommands(w, "post_build_script", []string{b.Runner.PostBuildScript})
	}
	return nil
}

func (b *Build) writeAfterScript(w *shell.Writer) error {
	step := b.Step("after_script")
	if step == nil || len(step.Script) == 0 {
		return errNothingToDo
	}
	b.writeExports(w)
	w.Command("cd", b.ProjectDir())
	w.Notice("Running after script...")
	b.writeCommands(w, "after_script_step", step.Script)
	return nil
}

func (b *Build) writeDownloadArtifacts(w *shell.Writer) error {
	var sources []api.Dependency
	for _, dependency := range b.Job.Dependencies {
		if dependency.ArtifactsFile.Filename != "" {
			sources = append(sources, dependency)
		}
	}
	if len(sources) == 0 {
		return errNothingToDo
	}
	b.writeExports(w)
	w.Command("cd", b.ProjectDir())
	b.withHelper(w, "Artifacts downloading", func() {
		for _, source := range sources {
			w.Notice("Downloading artifacts for %s (%d)...", source.Name, source.ID)
			w.Command(helperCommand, "artifacts-downloader", "--url", b.Runner.URL,
				"--token", source.Token, "--id", fmt.Sprint(source.ID))
		}
	})
	return nil
}

func (b *Build) writeUploadArtifacts(w *shell.Writer, succeeded bool) error {
	uploads := [][]string{}
	for _, artifact := range b.Job.Artifacts {
		if !api.Wanted(artifact.When, succeeded) {
			continue
		}
		var files []string
		for _, path := range artifact.Paths {
			files = append(files, "--path", b.Variables().ExpandValue(path))
		}
		for _, path := range artifact.Exclude {
			files = append(files, "--exclude", b.Variables().ExpandValue(path))
		}
		if artifact.Untracked {
			files = append(files, "--untracked")
		}
		if len(artifact.Paths) == 0 && !artifact.Untracked {
			continue
		}
		args := append([]string{
			helperCommand, "artifacts-uploader", "--url", b.Runner.URL,
			"--token", b.Job.Token, "--id", fmt.Sprint(b.Job.ID),
		}, files...)
		for _, option := range [][2]string{
			{"--name", b.Variables().ExpandValue(artifact.Name)}, {"--expire-in", artifact.ExpireIn},
			{"--artifact-format", artifact.Format}, {"--artifact-type", artifact.Type},
		} {
			if option[1] != "" {
				args = append(args, option[0], option[1])
			}
		}
		uploads = append(uploads, args)
	}
	if len(uploads) == 0 {
		return errNothingToDo
	}
	b.writeExports(w)
	w.Command("cd", b.ProjectDir())
	b.withHelper(w, "Uploading artifacts", func() {
		for _, args := range uploads {
			w.Notice("Uploading artifacts...")
			w.Command(args...)
		}
	})
	return nil
}

func (b *Build) withHelper(w *shell.Writer, action string, do func()) {
	w.IfQuiet(helperCommand, "--version")
	do()
	w.ElseDo()
	w.Warning("Missing %s. %s is disabled.", helperCommand, action)
	w.EndIf()
}

func (b *Build) writeCleanup(w *shell.Writer) error {
	w.Command("rm", "-f", w.TempFile(envFile))
	for _, variable := range b.Variables().Files() {
		w.Command("rm", "-f", w.TempFile(variable.Key))
	}
	w.Command("rm", "-rf", w.TempFile(templateDir), w.TempFile(externalConfig))
	if b.Flag(FlagJobCleanup) && b.gitStrategy() != gitNone {
		w.IfDir(b.ProjectDir())
		if b.gitStrategy() == gitFetch {
			w.Linef("if [ -d %s ]; then cd %s && git clean -ffdx >/dev/null && git reset --hard -q; fi",
				shell.Quote(b.ProjectDir()+"/.git"), shell.Quote(b.ProjectDir()))
		} else {
			w.Linef("find %s -mindepth 1 -maxdepth 1 -exec rm -rf {} +", shell.Quote(b.ProjectDir()))
		}
		w.EndIf()
	}
	return nil
}
