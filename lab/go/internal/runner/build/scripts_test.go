package build

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"gitlab-runner-proxmox/lab/internal/runner/api"
	"gitlab-runner-proxmox/lab/internal/runner/config"
	"gitlab-runner-proxmox/lab/internal/runner/logging"
)

// newBuild is a build of group/app whose folders are the test's own.
func newBuild(t *testing.T, edit func(*api.Job)) *Build {
	t.Helper()
	job := &api.Job{
		ID: 7, Token: "glcbt-job", AllowGitFetch: true,
		JobInfo:    api.JobInfo{Name: "test", ProjectID: 3, ProjectFullPath: "group/app"},
		GitInfo:    api.GitInfo{RepoURL: "https://gitlab-ci-token:glcbt-job@gitlab.example.org/group/app.git", Ref: "main", Sha: "0123456789abcdef", Depth: 20},
		RunnerInfo: api.RunnerInfo{Timeout: 600},
		Steps:      []api.Step{{Name: "script", Script: []string{"echo hello"}}},
	}
	if edit != nil {
		edit(job)
	}
	dir := t.TempDir()
	runner := &config.Runner{
		Name: "ci-01-default", URL: "https://gitlab.example.org", Token: "glrt-abcdefghijk", Executor: "docker",
		BuildsDir: dir, CacheDir: filepath.Join(dir, "cache"), Docker: &config.Docker{},
	}
	server := &api.Server{URL: runner.URL, Token: runner.Token, Short: "abcdefghi", SystemID: "s_0123456789ab"}
	b := New(job, runner, server, "ci-01", "gitlab-runner", logging.New(os.Stderr))
	b.Log.Configure(logging.Panic, logging.FormatRunner)
	return b
}

// runScript runs a stage's script on this machine.
func runScript(t *testing.T, b *Build, stage Stage) (string, int) {
	t.Helper()
	script, err := b.script(stage)
	require.NoError(t, err)
	command := exec.Command("sh")
	command.Stdin = strings.NewReader(script)
	// git must not read the machine's own settings, nor write to them.
	command.Env = append(os.Environ(), "HOME="+b.RootDir(), "GIT_CONFIG_NOSYSTEM=1")
	out, err := command.CombinedOutput()
	if err != nil {
		var exit *exec.ExitError
		require.ErrorAs(t, err, &exit)
		return string(out), exit.ExitCode()
	}
	return string(out), 0
}

func TestUserScriptRunsInTheProject(t *testing.T) {
	b := newBuild(t, func(job *api.Job) {
		job.Steps[0].Script = []string{"pwd", "", "for i in 1 2; do\n  echo $i\ndone", `echo "FROM_SCRIPT=1 2" >> "$GITLAB_ENV"`, "exit 42", "echo never"}
		job.Steps = append(job.Steps, api.Step{Name: "after_script", Script: []string{`echo "[$FROM_SCRIPT] $CI_JOB_STATUS"`}})
	})
	require.NoError(t, os.MkdirAll(b.ProjectDir(), 0o700))
	out, code := runScript(t, b, UserScript)
	require.Equal(t, 42, code)
	require.Equal(t, "\x1b[32;1m$ pwd\x1b[0;m\n"+b.ProjectDir()+"\n\n"+
		"\x1b[32;1m$ for i in 1 2; do # collapsed multi-line command\x1b[0;m\n1\n2\n"+
		"\x1b[32;1m$ echo \"FROM_SCRIPT=1 2\" >> \"$GITLAB_ENV\"\x1b[0;m\n\x1b[32;1m$ exit 42\x1b[0;m\n", out)
	b.setStatus("failed")
	out, code = runScript(t, b, AfterScript)
	require.Zero(t, code)
	require.Contains(t, out, "[1 2] failed\n")
}

func TestFileVariablesComeAndGo(t *testing.T) {
	b := newBuild(t, func(job *api.Job) {
		job.CAChain = "-----BEGIN\n"
		job.Steps[0].Script = []string{`cat "$CI_SERVER_TLS_CA_FILE"`}
	})
	require.NoError(t, os.MkdirAll(b.ProjectDir(), 0o700))
	out, code := runScript(t, b, UserScript)
	require.Zero(t, code, out)
	require.Contains(t, out, "-----BEGIN\n")
	_, code = runScript(t, b, CleanupFileVariables)
	require.Zero(t, code)
	left, err := os.ReadDir(b.TempDir())
	require.NoError(t, err)
	require.Empty(t, left)
}

func TestScriptsOfTheRunnerSurroundTheJobs(t *testing.T) {
	b := newBuild(t, nil)
	b.Runner.PreBuildScript, b.Runner.PostBuildScript = "echo before", "echo after"
	require.NoError(t, os.MkdirAll(b.ProjectDir(), 0o700))
	out, _ := runScript(t, b, UserScript)
	require.Regexp(t, `(?s)before\n.*hello\n.*after\n$`, out)
}

func TestNothingToDo(t *testing.T) {
	b := newBuild(t, func(job *api.Job) { job.Steps = nil })
	for _, stage := range []Stage{
		UserScript, AfterScript, RestoreCache, DownloadArtifacts, ArchiveCache, ArchiveCacheOnFailure,
		UploadArtifactsOnSuccess, UploadArtifactsOnFailure,
	} {
		_, err := b.script(stage)
		require.ErrorIs(t, err, errNothingToDo, stage)
	}
}

func TestArtifactsByTheirWhen(t *testing.T) {
	b := newBuild(t, func(job *api.Job) {
		job.Artifacts = []api.Artifact{
			{Name: "$CI_JOB_STATUS", Paths: []string{"out/$CI_SERVER"}, Exclude: []string{"*.log"}, When: "on_success", Type: "archive", Format: "zip", ExpireIn: "1 week"},
			{Paths: []string{"report"}, When: "always", Type: "junit", Format: "gzip"},
			{Untracked: true, When: "on_failure"},
		}
	})
	script, err := b.script(UploadArtifactsOnSuccess)
	require.NoError(t, err)
	require.Contains(t, script, "artifacts-uploader --url https://gitlab.example.org --token glcbt-job --id 7 --path out/yes --exclude ")
	require.Contains(t, script, "--name running --expire-in ")
	require.Contains(t, script, "--artifact-format zip --artifact-type archive")
	require.Contains(t, script, "--path report --artifact-format gzip --artifact-type junit")
	require.NotContains(t, script, "--untracked")
	script, err = b.script(UploadArtifactsOnFailure)
	require.NoError(t, err)
	require.NotContains(t, script, "--path out/yes")
	require.Contains(t, script, "--untracked")
	require.Contains(t, script, "--path report")
}

func TestDownloadsArtifactsOfThoseThatHaveSome(t *testing.T) {
	b := newBuild(t, func(job *api.Job) {
		with := api.Dependency{ID: 5, Name: "make", Token: "glcbt-dep"}
		with.ArtifactsFile.Filename = "artifacts.zip"
		job.Dependencies = []api.Dependency{with, {ID: 6, Name: "none", Token: "glcbt-dep"}}
	})
	script, err := b.script(DownloadArtifacts)
	require.NoError(t, err)
	require.Contains(t, script, "artifacts-downloader --url https://gitlab.example.org --token glcbt-dep --id 5")
	require.NotContains(t, script, "--id 6")
}

func TestCaches(t *testing.T) {
	b := newBuild(t, func(job *api.Job) {
		job.Cache = []api.Cache{
			{Key: "../up/$CI_SERVER ", Paths: []string{"deps"}, FallbackKeys: []string{"other"}, When: "on_success"},
			{Key: "pull", Paths: []string{"a"}, Policy: "pull", When: "always"},
			{Key: "push", Paths: []string{"b"}, Policy: "push", When: "on_failure"},
			{Key: "nothing"},
		}
	})
	restore, err := b.script(RestoreCache)
	require.NoError(t, err)
	require.Contains(t, restore, "cache-extractor --file "+b.CacheDir()+"/up/yes/cache.zip")
	require.Contains(t, restore, "sanitized to")
	require.Contains(t, restore, "/other/cache.zip")
	require.Contains(t, restore, "/pull/cache.zip")
	require.Contains(t, restore, "Not downloading cache push due to policy")
	save, err := b.script(ArchiveCache)
	require.NoError(t, err)
	require.Contains(t, save, "cache-archiver --file "+b.CacheDir()+"/up/yes/cache.zip --timeout 10 --path deps")
	require.Contains(t, save, "Not uploading cache pull due to policy")
	require.NotContains(t, save, "push/cache.zip")
	save, err = b.script(ArchiveCacheOnFailure)
	require.NoError(t, err)
	require.Contains(t, save, "/push/cache.zip")
	require.NotContains(t, save, "deps")

	b.Job.Cache = []api.Cache{{Key: "x", Paths: []string{"a"}, Policy: "sideways"}}
	_, err = b.script(RestoreCache)
	require.ErrorContains(t, err, "unknown cache policy sideways")
}

func TestSanitizesKeys(t *testing.T) {
	for key, want := range map[string]string{
		"plain": "plain", "a/b": "a/b", "../../etc": "etc", "a%2Fb": "a/b", `a\b`: "a/b", "%2e%2e/x": "x", "x ": "x",
		"/": "", "..": "", "a/ ": "a",
	} {
		got, err := sanitizeKey(key)
		require.Equal(t, want, got, "%q", key)
		require.Equal(t, want != key, err != nil, "%q", key)
	}
}

// origin makes a repository with a submodule-free history of two commits.
func origin(t *testing.T) (dir, sha string) {
	t.Helper()
	dir = t.TempDir()
	script := `set -e
git init -q -b main . && git config user.email x@example.invalid && git config user.name x
echo one > file && git add . && git commit -qm one && echo two > file && git commit -qam two && git rev-parse HEAD`
	command := exec.Command("sh", "-c", script)
	command.Dir = dir
	command.Env = append(os.Environ(), "HOME="+dir, "GIT_CONFIG_NOSYSTEM=1")
	out, err := command.Output()
	require.NoError(t, err)
	return dir, strings.TrimSpace(string(out))
}

func TestFetchesSources(t *testing.T) {
	if _, err := exec.LookPath("git"); err != nil {
		t.Skip("git is not installed")
	}
	dir, sha := origin(t)
	b := newBuild(t, func(job *api.Job) {
		job.GitInfo = api.GitInfo{
			RepoURL: "file://" + dir, Ref: "main", Sha: sha, Depth: 1,
			Refspecs: []string{"+refs/heads/main:refs/remotes/origin/main"},
		}
	})
	file := filepath.Join(b.ProjectDir(), "file")
	for range 2 {
		out, code := runScript(t, b, GetSources)
		require.Zero(t, code, out)
		require.Contains(t, out, "Fetching changes with git depth set to 1...")
		require.Contains(t, out, "Checking out "+sha[:8]+" as detached HEAD (ref is main)...")
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		require.Equal(t, "two\n", string(text))
		// The next job of this slot finds neither changes nor hooks of this one.
		require.NoError(t, os.WriteFile(file, []byte("changed"), 0o600))
		require.NoError(t, os.WriteFile(filepath.Join(b.ProjectDir(), "extra"), nil, 0o600))
		hooks := filepath.Join(b.ProjectDir(), ".git", "hooks")
		require.NoError(t, os.MkdirAll(hooks, 0o700))
		require.NoError(t, os.WriteFile(filepath.Join(hooks, "post-checkout"), []byte("#!/bin/sh\nexit 9\n"), 0o700))
	}
	b.Job.Variables = append(b.Job.Variables, api.Variable{Key: "GIT_STRATEGY", Value: "clone"})
	b.vars = nil
	out, code := runScript(t, b, GetSources)
	require.Zero(t, code, out)
	_, err := os.Stat(filepath.Join(b.ProjectDir(), "extra"))
	require.ErrorIs(t, err, os.ErrNotExist)
}

func TestTokensAreNotInTheProjectsFolder(t *testing.T) {
	b := newBuild(t, nil)
	script, err := b.script(GetSources)
	require.NoError(t, err)
	require.Contains(t, script, "git remote add origin https://gitlab.example.org/group/app.git ")
	require.Contains(t, script, ".insteadOf https://gitlab.example.org/group/app.git")
	b.flags[FlagURLsWithoutTokens] = true
	script, err = b.script(GetSources)
	require.NoError(t, err)
	require.NotContains(t, script, "insteadOf")
	require.Contains(t, script, "credential.https://gitlab.example.org.helper")
}

func TestOtherStrategies(t *testing.T) {
	for strategy, kept := range map[string]bool{"none": true, "empty": false} {
		t.Run(strategy, func(t *testing.T) {
			b := newBuild(t, func(job *api.Job) {
				job.Variables = []api.Variable{{Key: "GIT_STRATEGY", Value: strategy}}
			})
			require.NoError(t, os.MkdirAll(b.ProjectDir(), 0o700))
			left := filepath.Join(b.ProjectDir(), "left")
			require.NoError(t, os.WriteFile(left, nil, 0o600))
			out, code := runScript(t, b, GetSources)
			require.Zero(t, code, out)
			require.Contains(t, out, "Skipping Git checkout")
			_, err := os.Stat(left)
			require.Equal(t, kept, err == nil)
		})
	}
	b := newBuild(t, func(job *api.Job) { job.Variables = []api.Variable{{Key: "GIT_STRATEGY", Value: "guess"}} })
	_, err := b.script(GetSources)
	require.ErrorIs(t, err, errUnknownStrategy)
}

func TestProjectDirStaysInTheBuilds(t *testing.T) {
	b := newBuild(t, func(job *api.Job) {
		job.Variables = []api.Variable{{Key: "GIT_CLONE_PATH", Value: "$CI_BUILDS_DIR/custom/$CI_CONCURRENT_ID"}}
	})
	require.NoError(t, b.checkProjectDir())
	require.Equal(t, b.RootDir()+"/custom/0", b.ProjectDir())
	b.Job.Variables[0].Value = "$CI_BUILDS_DIR/../etc"
	require.ErrorContains(t, b.checkProjectDir(), "has to be within")
	b.Runner.CustomBuildDir = &config.CustomBuildDir{Enabled: false}
	require.ErrorContains(t, b.checkProjectDir(), "not allowed")
}
