package config

import "time"

// SessionServer is the table `session_server`.
type SessionServer struct {
	ListenAddress    string `toml:"listen_address"`
	AdvertiseAddress string `toml:"advertise_address"`
	SessionTimeout   int    `toml:"session_timeout"`
}

// Machine is the table `machine`.
type Machine struct {
	ShutdownDrain *DockerMachineShutdownDrain `toml:"shutdown_drain"`
}

// DockerMachineShutdownDrain is the table `machine.shutdown_drain`.
type DockerMachineShutdownDrain struct {
	Enabled      bool          `toml:"enabled"`
	Concurrency  int           `toml:"concurrency"`
	MaxRetries   int           `toml:"max_retries"`
	RetryBackoff time.Duration `toml:"retry_backoff"`
}

// Experimental is the table `experimental`.
type Experimental struct {
	UsageLogger *UsageLogger `toml:"usage_logger"`
}

// UsageLogger is the table `experimental.usage_logger`.
type UsageLogger struct {
	Enabled         bool              `toml:"enabled"`
	Writers         []string          `toml:"writers"`
	Logrotate       *Logrotate        `toml:"logrotate"`
	SnowplowBilling *Snowplow         `toml:"snowplow_billing"`
	LogDir          string            `toml:"log_dir"`
	MaxBackupFiles  int64             `toml:"max_backup_files"`
	MaxRotationAge  time.Duration     `toml:"max_rotation_age"`
	Labels          map[string]string `toml:"labels"`
}

// Logrotate is the table `experimental.usage_logger.logrotate`.
type Logrotate struct {
	LogDir         string            `toml:"log_dir"`
	MaxBackupFiles int64             `toml:"max_backup_files"`
	MaxRotationAge time.Duration     `toml:"max_rotation_age"`
	Labels         map[string]string `toml:"labels"`
}

// Snowplow is the table `experimental.usage_logger.snowplow_billing`.
type Snowplow struct {
	CollectorURI                 string            `toml:"collector_uri"`
	AppID                        string            `toml:"app_id"`
	Category                     string            `toml:"category"`
	Realm                        string            `toml:"realm"`
	DeploymentType               string            `toml:"deployment_type"`
	Metadata                     map[string]string `toml:"metadata"`
	EnableOIDC                   bool              `toml:"enable_oidc"`
	BatchDeliveryDurationBuckets []float64         `toml:"batch_delivery_duration_buckets"`
	SkipOIDCIfUnsupportedCloud   bool              `toml:"skip_oidc_if_unsupported_cloud"`
	SkipRunnerSystemFailure      bool              `toml:"skip_runner_system_failure"`
}
