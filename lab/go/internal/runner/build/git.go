package build

import (
	"errors"
	"net/url"
	"path"
	"strconv"
	"strings"

	"gitlab-runner-proxmox/lab/internal/runner/shell"
	"gitlab-runner-proxmox/lab/internal/runner/version"
)

// Values of GIT_STRATEGY.
const (
	gitFetch = "fetch"
	gitClone = "clone"
	gitNone  = "none"
	gitEmpty = "empty"
)

const (
	templateDir    = "git-template"
	externalConfig = ".gitlab-runner.ext.conf"
	// credentialHelper gives git the job's token out of the environment.
	credentialHelper = `!f(){ if [ "$1" = "get" ] ; then echo "password=${CI_JOB_TOKEN}" ; fi ; } ; f`
)

var errUnknownStrategy = errors.New("unknown GIT_STRATEGY")

func (b *Build) gitStrategy() string {
	if strategy := b.Variables().Get("GIT_STRATEGY"); strategy != "" {
		return strategy
	}
	if b.Job.AllowGitFetch {
		return gitFetch
	}
	return gitClone
}

// Fetches tells whether the project's folder is kept for the next job of this slot.
func (b *Build) Fetches() bool { return b.gitStrategy() == gitFetch }

// repository is the address to fetch from, without and with what opens it.
func (b *Build) repository() (plain, opening *url.URL, err error) {
	opening, err = url.Parse(b.Job.GitInfo.RepoURL)
	if err != nil {
		return nil, nil, err
	}
	if b.Runner.CloneURL != "" {
		base, err := url.Parse(b.Runner.CloneURL)
		if err != nil {
			return nil, nil, err
		}
		base.Path = path.Join(base.Path, b.projectPath()+".git")
		base.User = url.UserPassword("gitlab-ci-token", b.Job.Token)
		opening = base
	}
	without := *opening
	without.User = nil
	return &without, opening, nil
}

func (b *Build) writeGetSources(w *shell.Writer) error {
	b.writeExports(w)
	w.Export("GIT_TERMINAL_PROMPT", "0")
	strategy := b.gitStrategy()
	switch strategy {
	case gitNone:
		w.Notice("Skipping Git repository setup")
		w.Command("mkdir", "-p", b.ProjectDir())
	case gitEmpty:
		w.Notice("Skipping Git repository setup and creating an empty build directory")
		w.Command("rm", "-rf", b.ProjectDir())
		w.Command("mkdir", "-p", b.ProjectDir())
	case gitFetch, gitClone:
		if b.Runner.PreGetSourcesScript != "" {
			b.writeCommands(w, "pre_clone_script", []string{b.Runner.PreGetSourcesScript})
		}
		if err := b.writeFetch(w, strategy); err != nil {
			return err
		}
	default:
		return errUnknownStrategy
	}
	checkout := b.Variables().Get("GIT_CHECKOUT")
	works := strategy == gitFetch || strategy == gitClone
	if works && checkout != "false" {
		b.writeCheckout(w)
	} else {
		w.Notice("Skipping Git checkout")
	}
	if err := b.writeSubmodules(w, works); err != nil {
		return err
	}
	if works && b.Runner.PostGetSourcesScript != "" {
		b.writeCommands(w, "post_clone_script", []string{b.Runner.PostGetSourcesScript})
	}
	return nil
}

func (b *Build) writeFetch(w *shell.Writer, strategy string) error {
	plain, opening, err := b.repository()
	if err != nil {
		return err
	}
	project := b.ProjectDir()
	git := path.Join(project, ".git")
	template, external := w.TempFile(templateDir), w.TempFile(externalConfig)
	// An earlier job may have left locks, and settings that run commands.
	for _, name := range []string{"index.lock", "shallow.lock", "HEAD.lock", "config.lock", "config"} {
		w.Command("rm", "-f", path.Join(git, name))
	}
	w.Command("rm", "-rf", path.Join(git, "hooks"), template)
	w.Command("mkdir", "-p", template)
	w.IfDir(path.Join(git, "refs"))
	w.Linef("find %s -name '*.lock' -type f -exec rm -f {} +", shell.Quote(path.Join(git, "refs")))
	w.EndIf()
	if b.Job.CAChain != "" {
		host := plain.Scheme + "://" + plain.Host
		w.Command("git", "config", "--global", "http."+host+".sslCAInfo", w.TempFile("CI_SERVER_TLS_CA_FILE"))
	}
	if b.Runner.SafeDirectoryCheckout == nil || *b.Runner.SafeDirectoryCheckout {
		w.Command("git", "config", "--global", "--add", "safe.directory", project)
	}
	for _, setting := range [][2]string{
		{"init.defaultBranch", "none"}, {"fetch.recurseSubmodules", "false"},
		{"credential.interactive", "never"}, {"gc.autoDetach", "false"}, {"include.path", external},
	} {
		w.Command("git", "config", "-f", path.Join(template, "config"), setting[0], setting[1])
	}
	w.Command("rm", "-f", external)
	if b.Flag(FlagURLsWithoutTokens) {
		section := "credential." + plain.Scheme + "://" + plain.Host
		w.Command("git", "config", "-f", external, section+".helper", credentialHelper)
		w.Command("git", "config", "-f", external, section+".username", "gitlab-ci-token")
	} else if opening.User != nil {
		w.Command("git", "config", "-f", external, "url."+opening.String()+".insteadOf", plain.String())
	}
	if strategy == gitClone {
		w.Command("rm", "-rf", project)
	}
	b.writeFetchCommands(w, plain.String(), template, external)
	return nil
}

func (b *Build) writeFetchCommands(w *shell.Writer, repository, template, external string) {
	depth := b.Job.GitInfo.Depth
	if depth > 0 {
		w.Notice("Fetching changes with git depth set to %d...", depth)
	} else {
		w.Notice("Fetching changes...")
	}
	initialize := []string{"git", "init", b.ProjectDir(), "--template", template}
	if format := b.Job.GitInfo.RepoObjectFormat; format != "" && format != "sha1" {
		initialize = append(initialize, "--object-format", format)
	}
	w.Command(initialize...)
	w.Command("cd", b.ProjectDir())
	w.IfQuiet("git", "remote", "add", "origin", repository)
	w.Notice("Created fresh repository.")
	w.ElseDo()
	w.Command("git", "remote", "set-url", "origin", repository)
	w.EndIf()
	// A repository that exists does not take the template.
	w.Command("git", "config", "include.path", external)
	fetch := []string{
		"git", "-c", "http.userAgent=" + version.Name + " " + version.Version + " " + version.Platform(),
		"fetch", "origin", "--no-recurse-submodules",
	}
	fetch = append(fetch, b.Job.GitInfo.Refspecs...)
	if depth > 0 {
		w.Command(append(append(fetch, "--depth", strconv.Itoa(depth)), b.fetchFlags()...)...)
		return
	}
	fetch = append(fetch, b.fetchFlags()...)
	w.If("[ -e .git/shallow ]")
	w.Command(append(append([]string{}, fetch...), "--unshallow")...)
	w.ElseDo()
	w.Command(fetch...)
	w.EndIf()
}

func (b *Build) fetchFlags() []string {
	value := b.Variables().Get("GIT_FETCH_EXTRA_FLAGS")
	switch value {
	case "":
		return []string{"--prune", "--quiet"}
	case "none":
		return nil
	}
	return strings.Fields(value)
}

func (b *Build) cleanFlags() []string {
	value := b.Variables().Get("GIT_CLEAN_FLAGS")
	switch value {
	case "":
		return []string{"-ffdx"}
	case "none":
		return nil
	}
	return strings.Fields(value)
}

func (b *Build) writeCheckout(w *shell.Writer) {
	sha := b.Job.GitInfo.Sha
	w.Notice("Checking out %s as detached HEAD (ref is %s)...", sha[:min(8, len(sha))], b.Job.GitInfo.Ref)
	w.Command("git", "-c", "submodule.recurse=false", "checkout", "-f", "-q", sha)
	if clean := b.cleanFlags(); len(clean) > 0 {
		w.Command(append([]string{"git", "clean"}, clean...)...)
	}
}

func (b *Build) writeSubmodules(w *shell.Writer, works bool) error {
	strategy := b.Variables().Get("GIT_SUBMODULE_STRATEGY")
	if !works {
		strategy = ""
	}
	update := []string{"git", "-c", "include.path=" + w.TempFile(externalConfig), "submodule", "update", "--init"}
	sync := []string{"git", "submodule", "sync"}
	switch strategy {
	case "", "none":
		w.Notice("Skipping Git submodules setup")
		return nil
	case "normal":
		w.Notice("Updating/initializing submodules...")
	case "recursive":
		w.Notice("Updating/initializing submodules recursively...")
		update, sync = append(update, "--recursive"), append(sync, "--recursive")
	default:
		return errors.New("unknown GIT_SUBMODULE_STRATEGY")
	}
	if depth := b.Variables().Int("GIT_SUBMODULE_DEPTH", b.Job.GitInfo.Depth); depth > 0 {
		update = append(update, "--depth", strconv.Itoa(depth))
	}
	w.Command("git", "submodule", "init")
	w.Command(sync...)
	w.Command(update...)
	return nil
}

func (b *Build) writeClearWorktree(w *shell.Writer) error {
	w.Notice("Deleting tracked and untracked files...")
	w.IfDir(path.Join(b.ProjectDir(), ".git"))
	w.Command("cd", b.ProjectDir())
	w.Command("git", "rm", "-rf", "--ignore-unmatch", ".")
	w.Command("git", "clean", "-ffdx")
	w.EndIf()
	return nil
}
