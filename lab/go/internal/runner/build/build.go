// Package build takes one job from GitLab through its stages.
package build

import (
	"fmt"
	"net/url"
	"path"
	"strconv"
	"strings"
	"sync"
	"time"

	"gitlab-runner-proxmox/lab/internal/runner/api"
	"gitlab-runner-proxmox/lab/internal/runner/config"
	"gitlab-runner-proxmox/lab/internal/runner/logging"
	"gitlab-runner-proxmox/lab/internal/runner/version"
)

// State of a build, as metrics and `/debug/jobs/list` show it.
type State string

// States of a build.
const (
	Pending    State = "pending"
	Running    State = "running"
	Finished   State = "success"
	Failed     State = "failed"
	Canceled   State = "canceled"
	Terminated State = "terminated"
	TimedOut   State = "timedout"
)

// Stage of a build.
type Stage string

// Stages, in their order.
const (
	PrepareExecutor          Stage = "prepare_executor"
	PrepareScript            Stage = "prepare_script"
	GetSources               Stage = "get_sources"
	ClearWorktree            Stage = "clear_worktree"
	RestoreCache             Stage = "restore_cache"
	DownloadArtifacts        Stage = "download_artifacts"
	UserScript               Stage = "step_script"
	AfterScript              Stage = "after_script"
	ArchiveCache             Stage = "archive_cache"
	ArchiveCacheOnFailure    Stage = "archive_cache_on_failure"
	UploadArtifactsOnSuccess Stage = "upload_artifacts_on_success"
	UploadArtifactsOnFailure Stage = "upload_artifacts_on_failure"
	CleanupFileVariables     Stage = "cleanup_file_variables"
)

var headings = map[Stage]string{
	PrepareScript:            "Preparing environment",
	GetSources:               "Getting source from Git repository",
	ClearWorktree:            "Deleting all tracked and untracked files due to source fetch failure",
	RestoreCache:             "Restoring cache",
	DownloadArtifacts:        "Downloading artifacts",
	AfterScript:              "Running after_script",
	ArchiveCache:             "Saving cache for successful job",
	ArchiveCacheOnFailure:    "Saving cache for failed job",
	UploadArtifactsOnSuccess: "Uploading artifacts for successful job",
	UploadArtifactsOnFailure: "Uploading artifacts for failed job",
	CleanupFileVariables:     "Cleaning up project directory and file based variables",
}

// Heading is what the log says above a stage.
func (s Stage) Heading() string {
	if heading, ok := headings[s]; ok {
		return heading
	}
	return fmt.Sprintf("Executing %q stage of the job script", s)
}

// Predefined tells whether a stage runs in the helper's container, not in the job's.
func (s Stage) Predefined() bool { return s != UserScript && s != AfterScript }

const (
	defaultRoot    = "/builds"
	defaultCache   = "/cache"
	defaultTimeout = 2 * time.Hour
)

// Build is a job on its way.
type Build struct {
	Job    *api.Job
	Runner *config.Runner
	Server *api.Server
	// User is the --user of the command line.
	User     string
	Hostname string
	Log      *logging.Logger
	// RunnerID and ProjectRunnerID number the builds that run at the same time.
	RunnerID        int
	ProjectRunnerID int

	// OnStage hears how long each stage took; may be nil.
	OnStage func(Stage, time.Duration)

	started time.Time
	flags   map[string]bool
	status  string
	vars    Variables

	mu            sync.Mutex
	state         State
	stage         Stage
	executorStage string
	finished      time.Time
	cancelScript  func()
}

// New takes a job on. Its numbers among other builds can be set until Run.
func New(job *api.Job, runner *config.Runner, server *api.Server, hostname, user string, log *logging.Logger) *Build {
	b := &Build{
		Job: job, Runner: runner, Server: server, Hostname: hostname, User: user, Log: log,
		started: time.Now(), state: Pending, status: "running",
	}
	b.flags = resolveFlags(runner.FeatureFlags, Variables(job.Variables))
	return b
}

// Flag tells whether a feature is on.
func (b *Build) Flag(name string) bool { return b.flags[name] }

// Timeout is how long the job may take.
func (b *Build) Timeout() time.Duration {
	if b.Job.RunnerInfo.Timeout <= 0 {
		return defaultTimeout
	}
	return time.Duration(b.Job.RunnerInfo.Timeout) * time.Second
}

// RootDir holds the projects.
func (b *Build) RootDir() string {
	if b.Runner.BuildsDir != "" {
		return b.Runner.BuildsDir
	}
	return defaultRoot
}

// CacheDir holds the archives of caches.
func (b *Build) CacheDir() string {
	root := defaultCache
	if b.Runner.CacheDir != "" {
		root = b.Runner.CacheDir
	}
	return path.Join(root, b.projectPath())
}

func (b *Build) projectPath() string {
	if b.Job.JobInfo.ProjectFullPath != "" {
		return b.Job.JobInfo.ProjectFullPath
	}
	parsed, err := url.Parse(b.Job.GitInfo.RepoURL)
	if err != nil {
		return strconv.FormatInt(b.Job.JobInfo.ProjectID, 10)
	}
	return strings.TrimSuffix(strings.Trim(parsed.Path, "/"), ".git")
}

// ProjectDir is where the job works.
func (b *Build) ProjectDir() string {
	if custom := Variables(b.Job.Variables).Get("GIT_CLONE_PATH"); custom != "" {
		basic := append(Variables(b.Job.Variables), internal("CI_BUILDS_DIR", b.RootDir()),
			internal("CI_CONCURRENT_ID", strconv.Itoa(b.RunnerID)),
			internal("CI_CONCURRENT_PROJECT_ID", strconv.Itoa(b.ProjectRunnerID)))
		return path.Clean(basic.ExpandValue(custom))
	}
	return path.Join(b.RootDir(), b.projectPath())
}

// checkProjectDir refuses a GIT_CLONE_PATH outside of the builds.
func (b *Build) checkProjectDir() error {
	custom := Variables(b.Job.Variables).Get("GIT_CLONE_PATH")
	if custom == "" {
		return nil
	}
	if b.Runner.CustomBuildDir != nil && !b.Runner.CustomBuildDir.Enabled {
		return &Error{Reason: api.RunnerSystemFailure, Err: fmt.Errorf(
			"setting GIT_CLONE_PATH is not allowed, enable `custom_build_dir` feature")}
	}
	if !strings.HasPrefix(b.ProjectDir()+"/", b.RootDir()+"/") {
		return &Error{Reason: api.RunnerSystemFailure, Err: fmt.Errorf(
			"the GIT_CLONE_PATH=%q has to be within %q", b.ProjectDir(), b.RootDir())}
	}
	return nil
}

// TempDir is for what the job's own files must not mix with.
func (b *Build) TempDir() string { return b.ProjectDir() + ".tmp" }

// UniqueName tells the builds of all projects and slots of this runner apart.
func (b *Build) UniqueName() string {
	return fmt.Sprintf("runner-%s-project-%d-concurrent-%d",
		strings.ToLower(b.Server.Short), b.Job.JobInfo.ProjectID, b.RunnerID)
}

// Protected tells whether the job runs for a protected branch or tag.
func (b *Build) Protected() bool {
	if b.Job.GitInfo.Protected != nil {
		return *b.Job.GitInfo.Protected
	}
	for _, variable := range b.Job.Variables {
		// The first counts: a later one may be the user's.
		if variable.Key == "CI_COMMIT_REF_PROTECTED" {
			return variable.Value == "true"
		}
	}
	return false
}

// Variables are all that the job sees.
func (b *Build) Variables() Variables {
	if b.vars != nil {
		return b.vars
	}
	var all Variables
	for _, flag := range flags {
		all = append(all, internal(flag.name, strconv.FormatBool(b.flags[flag.name])))
	}
	if b.Job.Image.Name != "" {
		image := internal("CI_JOB_IMAGE", b.Job.Image.Name)
		image.Raw = false
		all = append(all, image)
	}
	all = append(all,
		internal("CI_RUNNER_SHORT_TOKEN", b.Server.Short),
	)
	all = append(all, parseEnvironment(b.Runner.Environment)...)
	all = append(all,
		internal("CI_BUILDS_DIR", b.RootDir()),
		internal("CI_PROJECT_DIR", b.ProjectDir()),
		internal("CI_CONCURRENT_ID", strconv.Itoa(b.RunnerID)),
		internal("CI_CONCURRENT_PROJECT_ID", strconv.Itoa(b.ProjectRunnerID)),
		internal("CI_SERVER", "yes"),
		internal("CI_JOB_STATUS", b.status),
		internal("CI_JOB_TIMEOUT", strconv.Itoa(int(b.Timeout().Seconds()))),
	)
	if b.Job.CAChain != "" {
		chain := internal("CI_SERVER_TLS_CA_FILE", b.Job.CAChain)
		chain.File = true
		all = append(all, chain)
	}
	for _, variable := range b.Job.Variables {
		if _, isFlag := b.flags[variable.Key]; !isFlag && variable.Key != "CI_JOB_STATUS" {
			all = append(all, variable)
		}
	}
	all = append(all,
		internal("CI_DISPOSABLE_ENVIRONMENT", "true"),
		internal("CI_RUNNER_VERSION", version.Version),
		internal("CI_RUNNER_REVISION", version.Revision),
		internal("CI_RUNNER_EXECUTABLE_ARCH", version.Platform()),
		internal(tempDirVariable, b.TempDir()),
	)
	b.vars = all.Expand()
	return b.vars
}

// setStatus is what after_script sees of the script's end.
func (b *Build) setStatus(status string) {
	b.status, b.vars = status, nil
}

// Step is a script of the job by its name; nil for none.
func (b *Build) Step(name string) *api.Step {
	for index := range b.Job.Steps {
		if b.Job.Steps[index].Name == name {
			return &b.Job.Steps[index]
		}
	}
	return nil
}

// URL is the job's page.
func (b *Build) URL() string { return Variables(b.Job.Variables).Get("CI_JOB_URL") }

// Duration is how long the build has taken so far, or in all.
func (b *Build) Duration() time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.finished.IsZero() {
		return time.Since(b.started)
	}
	return b.finished.Sub(b.started)
}

// Progress is where the build is.
func (b *Build) Progress() (state State, stage Stage, executorStage string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.state, b.stage, b.executorStage
}

// SetExecutorStage says what the executor is at.
func (b *Build) SetExecutorStage(stage string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.executorStage = stage
}

func (b *Build) setState(state State) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.state = state
}

func (b *Build) setStage(stage Stage) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.stage = stage
}
