// Package api speaks GitLab's runner API: polls for jobs, their state, their log.
package api

import (
	"runtime"
	"slices"
	"strings"

	"gitlab-runner-proxmox/lab/internal/runner/version"
)

// Features that a runner tells GitLab about; GitLab keeps jobs back that need others.
type Features struct {
	Variables               bool `json:"variables"`
	Image                   bool `json:"image"`
	Services                bool `json:"services"`
	Artifacts               bool `json:"artifacts"`
	Cache                   bool `json:"cache"`
	FallbackCacheKeys       bool `json:"fallback_cache_keys"`
	Shared                  bool `json:"shared"`
	UploadMultipleArtifacts bool `json:"upload_multiple_artifacts"`
	UploadRawArtifacts      bool `json:"upload_raw_artifacts"`
	Session                 bool `json:"session"`
	Terminal                bool `json:"terminal"`
	Refspecs                bool `json:"refspecs"`
	Masking                 bool `json:"masking"`
	Proxy                   bool `json:"proxy"`
	RawVariables            bool `json:"raw_variables"`
	ArtifactsExclude        bool `json:"artifacts_exclude"`
	MultiBuildSteps         bool `json:"multi_build_steps"`
	TraceReset              bool `json:"trace_reset"`
	TraceChecksum           bool `json:"trace_checksum"`
	TraceSize               bool `json:"trace_size"`
	VaultSecrets            bool `json:"vault_secrets"`
	Cancelable              bool `json:"cancelable"`
	ReturnExitCode          bool `json:"return_exit_code"`
	ServiceVariables        bool `json:"service_variables"`
	ServiceMultipleAliases  bool `json:"service_multiple_aliases"`
	ImageExecutorOpts       bool `json:"image_executor_opts"`
	ServiceExecutorOpts     bool `json:"service_executor_opts"`
	CancelGracefully        bool `json:"cancel_gracefully"`
	NativeStepsIntegration  bool `json:"native_steps_integration"`
	TwoPhaseJobCommit       bool `json:"two_phase_job_commit"`
	JobInputs               bool `json:"job_inputs"`
}

// DockerFeatures are those of a runner with the Docker executor.
func DockerFeatures() Features {
	return Features{
		Variables: true, Image: true, Services: true, Artifacts: true, Cache: true,
		FallbackCacheKeys: true, UploadMultipleArtifacts: true, UploadRawArtifacts: true,
		Session: true, Terminal: true, Refspecs: true, Masking: true, RawVariables: true,
		ArtifactsExclude: true, MultiBuildSteps: true, TraceReset: true, TraceChecksum: true,
		TraceSize: true, VaultSecrets: true, Cancelable: true, ReturnExitCode: true,
		ServiceVariables: true, ServiceMultipleAliases: true, ImageExecutorOpts: true,
		ServiceExecutorOpts: true, CancelGracefully: true, NativeStepsIntegration: true,
		TwoPhaseJobCommit: true, JobInputs: true,
	}
}

// Info is what a runner tells of itself.
type Info struct {
	Name         string            `json:"name"`
	Version      string            `json:"version"`
	Revision     string            `json:"revision"`
	Platform     string            `json:"platform"`
	Architecture string            `json:"architecture"`
	Executor     string            `json:"executor"`
	Shell        string            `json:"shell"`
	Features     Features          `json:"features"`
	Config       InfoConfig        `json:"config"`
	Labels       map[string]string `json:"labels,omitempty"`
}

// NewInfo is what a runner with this executor tells GitLab; shell is bash unless it is set.
func NewInfo(executor, shell string) Info {
	if shell == "" {
		shell = "bash"
	}
	return Info{
		Name: version.Name, Version: version.Version, Revision: version.Revision,
		Platform: runtime.GOOS, Architecture: runtime.GOARCH,
		Executor: executor, Shell: shell, Features: DockerFeatures(),
	}
}

// InfoConfig is the part of the configuration that GitLab hears of.
type InfoConfig struct {
	Gpus string `json:"gpus"`
}

// Job is a job as GitLab hands it over.
type Job struct {
	ID            int64          `json:"id"`
	Token         string         `json:"token"`
	AllowGitFetch bool           `json:"allow_git_fetch"`
	JobInfo       JobInfo        `json:"job_info"`
	GitInfo       GitInfo        `json:"git_info"`
	RunnerInfo    RunnerInfo     `json:"runner_info"`
	Variables     []Variable     `json:"variables"`
	Steps         []Step         `json:"steps"`
	Image         Image          `json:"image"`
	Services      []Image        `json:"services"`
	Artifacts     []Artifact     `json:"artifacts"`
	Cache         []Cache        `json:"cache"`
	Credentials   []Credentials  `json:"credentials"`
	Dependencies  []Dependency   `json:"dependencies"`
	Features      GitLabFeatures `json:"features"`

	// CAChain are the certificates that vouched for GitLab, PEM; empty over plain HTTP.
	CAChain string `json:"-"`
}

// JobInfo says where a job comes from.
type JobInfo struct {
	Name            string `json:"name"`
	Stage           string `json:"stage"`
	PipelineID      int64  `json:"pipeline_id"`
	ProjectID       int64  `json:"project_id"`
	ProjectName     string `json:"project_name"`
	ProjectFullPath string `json:"project_full_path"`
	NamespaceID     int64  `json:"namespace_id"`
	RootNamespaceID int64  `json:"root_namespace_id"`
	OrganizationID  int64  `json:"organization_id"`
	UserID          int64  `json:"user_id"`
	// TimeInQueueSeconds is how long the job waited.
	TimeInQueueSeconds float64 `json:"time_in_queue_seconds"`
	// ProjectJobsRunning is a number as text, or +Inf.
	ProjectJobsRunning string `json:"project_jobs_running_on_instance_runners_count"`
	QueueSize          int64  `json:"queue_size"`
	QueueDepth         int64  `json:"queue_depth"`
}

// GitInfo says what to check out.
type GitInfo struct {
	RepoURL          string   `json:"repo_url"`
	RepoObjectFormat string   `json:"repo_object_format"`
	Ref              string   `json:"ref"`
	Sha              string   `json:"sha"`
	BeforeSha        string   `json:"before_sha"`
	RefType          string   `json:"ref_type"`
	Refspecs         []string `json:"refspecs"`
	Depth            int      `json:"depth"`
	Protected        *bool    `json:"protected"`
}

// RunnerInfo is what GitLab grants the runner for this job.
type RunnerInfo struct {
	// Timeout is in seconds.
	Timeout int `json:"timeout"`
}

// Variable is a CI/CD variable.
type Variable struct {
	Key    string `json:"key"`
	Value  string `json:"value"`
	Public bool   `json:"public"`
	File   bool   `json:"file"`
	Masked bool   `json:"masked"`
	Raw    bool   `json:"raw"`
	// Internal variables are the runner's own.
	Internal bool `json:"-"`
}

// Step is a script of a job.
type Step struct {
	Name         string   `json:"name"`
	Script       []string `json:"script"`
	Timeout      int      `json:"timeout"`
	When         string   `json:"when"`
	AllowFailure bool     `json:"allow_failure"`
}

// Image is a container's image, of the job or of a service.
type Image struct {
	Name         string          `json:"name"`
	Alias        string          `json:"alias"`
	Command      []string        `json:"command"`
	Entrypoint   []string        `json:"entrypoint"`
	PullPolicies []string        `json:"pull_policy"`
	Variables    []Variable      `json:"variables"`
	Options      ExecutorOptions `json:"executor_opts"`
}

// ExecutorOptions are an image's options for one kind of executor.
type ExecutorOptions struct {
	Docker DockerOptions `json:"docker"`
}

// DockerOptions are an image's options for the Docker executor.
type DockerOptions struct {
	Platform string `json:"platform"`
	User     string `json:"user"`
}

// Aliases are the host names of a service that the job asked for.
func (i Image) Aliases() []string {
	return strings.FieldsFunc(i.Alias, func(char rune) bool { return char == ' ' || char == ',' })
}

// Artifact says what a job leaves behind.
type Artifact struct {
	Name      string   `json:"name"`
	Untracked bool     `json:"untracked"`
	Paths     []string `json:"paths"`
	Exclude   []string `json:"exclude"`
	When      string   `json:"when"`
	Type      string   `json:"artifact_type"`
	Format    string   `json:"artifact_format"`
	ExpireIn  string   `json:"expire_in"`
}

// Cache says what a job keeps for later ones.
type Cache struct {
	Key          string   `json:"key"`
	Untracked    bool     `json:"untracked"`
	Policy       string   `json:"policy"`
	Paths        []string `json:"paths"`
	When         string   `json:"when"`
	FallbackKeys []string `json:"fallback_keys"`
}

// Values of `when`.
const (
	OnSuccess = "on_success"
	OnFailure = "on_failure"
	Always    = "always"
)

// Wanted tells whether something with this `when` is due after a success, or a failure.
func Wanted(when string, succeeded bool) bool {
	switch when {
	case Always:
		return true
	case OnFailure:
		return !succeeded
	default:
		return succeeded
	}
}

// Credentials open a registry.
type Credentials struct {
	Type     string `json:"type"`
	URL      string `json:"url"`
	Username string `json:"username"`
	Password string `json:"password"`
}

// Dependency is an earlier job whose artifacts this one gets.
type Dependency struct {
	ID            int64  `json:"id"`
	Token         string `json:"token"`
	Name          string `json:"name"`
	ArtifactsFile struct {
		Filename string `json:"filename"`
		Size     int64  `json:"size"`
	} `json:"artifacts_file"`
}

// GitLabFeatures are what GitLab can do.
type GitLabFeatures struct {
	TraceSections     bool     `json:"trace_sections"`
	TokenMaskPrefixes []string `json:"token_mask_prefixes"`
	FailureReasons    []string `json:"failure_reasons"`
}

// State of a job.
type State string

// States that a runner reports.
const (
	Pending State = "pending"
	Running State = "running"
	Success State = "success"
	Failed  State = "failed"
)

// FailureReason says why a job failed.
type FailureReason string

// Reasons that a runner reports.
const (
	UnknownFailure      FailureReason = "unknown_failure"
	ScriptFailure       FailureReason = "script_failure"
	RunnerSystemFailure FailureReason = "runner_system_failure"
	JobExecutionTimeout FailureReason = "job_execution_timeout"
	ImagePullFailure    FailureReason = "image_pull_failure"
	ConfigurationError  FailureReason = "configuration_error"
	JobCanceled         FailureReason = "job_canceled"
	// RunnerInterrupted is the runner's own end by a signal.
	RunnerInterrupted FailureReason = "runner_interrupted"
)

// alwaysKnown are reasons that every GitLab knows.
var alwaysKnown = []FailureReason{ScriptFailure, RunnerSystemFailure, JobExecutionTimeout}

// Report gives a reason as this GitLab knows it.
func (f GitLabFeatures) Report(reason FailureReason) FailureReason {
	if reason == RunnerInterrupted && !slices.Contains(f.FailureReasons, string(reason)) {
		return RunnerSystemFailure
	}
	if slices.Contains(alwaysKnown, reason) || slices.Contains(f.FailureReasons, string(reason)) {
		return reason
	}
	return UnknownFailure
}
