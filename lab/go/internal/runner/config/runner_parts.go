package config

import "time"

// RunnerExperimental is the table `runners.experimental`.
type RunnerExperimental struct {
	BootVerify *BootVerify `toml:"boot_verify"`
}

// BootVerify is the table `runners.experimental.boot_verify`.
type BootVerify struct {
	Enabled           bool          `toml:"enabled"`
	Timeout           time.Duration `toml:"timeout"`
	AcquireMinBackoff time.Duration `toml:"acquire_min_backoff"`
	AcquireMaxBackoff time.Duration `toml:"acquire_max_backoff"`
}

// CustomBuildDir is the table `runners.custom_build_dir`.
type CustomBuildDir struct {
	Enabled bool `toml:"enabled"`
}

// Referees is the table `runners.referees`.
type Referees struct {
	Metrics *MetricsReferee `toml:"metrics"`
}

// MetricsReferee is the table `runners.referees.metrics`.
type MetricsReferee struct {
	PrometheusAddress string   `toml:"prometheus_address"`
	QueryInterval     int      `toml:"query_interval"`
	Queries           []string `toml:"queries"`
}

// Artifact is the table `runners.artifact`.
type Artifact struct {
	UploadTimeout         time.Duration `toml:"upload_timeout"`
	ResponseHeaderTimeout time.Duration `toml:"response_header_timeout"`
}

// Monitoring is the table `runners.monitoring`.
type Monitoring struct {
	JobQueuingDurations []JobQueuingDuration `toml:"job_queuing_durations"`
}

// JobQueuingDuration is the table `runners.monitoring.job_queuing_durations`.
type JobQueuingDuration struct {
	Periods               []string      `toml:"periods"`
	Timezone              string        `toml:"timezone"`
	Threshold             time.Duration `toml:"threshold"`
	JobsRunningForProject string        `toml:"jobs_running_for_project"`
}
