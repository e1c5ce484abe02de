package config

import "time"

// Config is the whole of config.toml.
type Config struct {
	ListenAddress    string            `toml:"listen_address"`
	SessionServer    *SessionServer    `toml:"session_server"`
	Labels           map[string]string `toml:"labels"`
	Concurrent       int               `toml:"concurrent"`
	CheckInterval    int               `toml:"check_interval"`
	LogLevel         string            `toml:"log_level"`
	LogFormat        string            `toml:"log_format"`
	User             string            `toml:"user"`
	Runners          []*Runner         `toml:"runners"`
	SentryDSN        string            `toml:"sentry_dsn"`
	ConnectionMaxAge time.Duration     `toml:"connection_max_age"`
	Machine          *Machine          `toml:"machine"`
	Experimental     *Experimental     `toml:"experimental"`
	ShutdownTimeout  int               `toml:"shutdown_timeout"`
}

// Runner is the table `runners`.
type Runner struct {
	Name                           string              `toml:"name"`
	Limit                          int                 `toml:"limit"`
	OutputLimit                    int                 `toml:"output_limit"`
	RequestConcurrency             int                 `toml:"request_concurrency"`
	StrictCheckInterval            bool                `toml:"strict_check_interval"`
	UnhealthyRequestsLimit         int                 `toml:"unhealthy_requests_limit"`
	UnhealthyInterval              time.Duration       `toml:"unhealthy_interval"`
	JobStatusFinalUpdateRetryLimit int                 `toml:"job_status_final_update_retry_limit"`
	Experimental                   *RunnerExperimental `toml:"experimental"`
	URL                            string              `toml:"url"`
	ID                             int64               `toml:"id"`
	Token                          string              `toml:"token"`
	TokenObtainedAt                time.Time           `toml:"token_obtained_at"`
	TokenExpiresAt                 time.Time           `toml:"token_expires_at"`
	TLSCAFile                      string              `toml:"tls-ca-file"`
	TLSCertFile                    string              `toml:"tls-cert-file"`
	TLSKeyFile                     string              `toml:"tls-key-file"`
	Labels                         map[string]string   `toml:"labels"`
	Executor                       string              `toml:"executor"`
	BuildsDir                      string              `toml:"builds_dir"`
	CacheDir                       string              `toml:"cache_dir"`
	CloneURL                       string              `toml:"clone_url"`
	Environment                    []string            `toml:"environment"`
	ProxyExec                      bool                `toml:"proxy_exec"`
	PreGetSourcesScript            string              `toml:"pre_get_sources_script"`
	PostGetSourcesScript           string              `toml:"post_get_sources_script"`
	PreBuildScript                 string              `toml:"pre_build_script"`
	PostBuildScript                string              `toml:"post_build_script"`
	PrepareTimeout                 time.Duration       `toml:"prepare_timeout"`
	GetSourcesTimeout              time.Duration       `toml:"get_sources_timeout"`
	DebugTraceDisabled             bool                `toml:"debug_trace_disabled"`
	SafeDirectoryCheckout          *bool               `toml:"safe_directory_checkout"`
	CleanGitConfig                 bool                `toml:"clean_git_config"`
	Shell                          string              `toml:"shell"`
	CustomBuildDir                 *CustomBuildDir     `toml:"custom_build_dir"`
	Referees                       *Referees           `toml:"referees"`
	Cache                          *Cache              `toml:"cache"`
	Artifact                       *Artifact           `toml:"artifact"`
	FeatureFlags                   map[string]bool     `toml:"feature_flags"`
	Monitoring                     *Monitoring         `toml:"monitoring"`
	UseSlotCgroups                 bool                `toml:"use_slot_cgroups"`
	SlotCgroupTemplate             string              `toml:"slot_cgroup_template"`
	Instance                       *Instance           `toml:"instance"`
	SSH                            *SSH                `toml:"ssh"`
	Docker                         *Docker             `toml:"docker"`
	Parallels                      *Parallels          `toml:"parallels"`
	Virtualbox                     *VirtualBox         `toml:"virtualbox"`
	Machine                        *DockerMachine      `toml:"machine"`
	Kubernetes                     *Kubernetes         `toml:"kubernetes"`
	Custom                         *Custom             `toml:"custom"`
	Autoscaler                     *Autoscaler         `toml:"autoscaler"`
	StepRunnerImage                string              `toml:"step_runner_image"`
}
