package config

// Instance is the table `runners.instance`.
type Instance struct {
	AllowedImages     []string `toml:"allowed_images"`
	UseCommonBuildDir bool     `toml:"use_common_build_dir"`
}

// SSH is the table `runners.ssh`.
type SSH struct {
	User                         string `toml:"user"`
	Password                     string `toml:"password"`
	Host                         string `toml:"host"`
	Port                         string `toml:"port"`
	IdentityFile                 string `toml:"identity_file"`
	DisableStrictHostKeyChecking bool   `toml:"disable_strict_host_key_checking"`
	KnownHostsFile               string `toml:"known_hosts_file"`
}

// Parallels is the table `runners.parallels`.
type Parallels struct {
	BaseName         string   `toml:"base_name"`
	TemplateName     string   `toml:"template_name"`
	DisableSnapshots bool     `toml:"disable_snapshots"`
	TimeServer       string   `toml:"time_server"`
	AllowedImages    []string `toml:"allowed_images"`
}

// VirtualBox is the table `runners.virtualbox`.
type VirtualBox struct {
	BaseName         string   `toml:"base_name"`
	BaseSnapshot     string   `toml:"base_snapshot"`
	BaseFolder       string   `toml:"base_folder"`
	DisableSnapshots bool     `toml:"disable_snapshots"`
	AllowedImages    []string `toml:"allowed_images"`
	StartType        string   `toml:"start_type"`
}

// Custom is the table `runners.custom`.
type Custom struct {
	ConfigExec          string   `toml:"config_exec"`
	ConfigArgs          []string `toml:"config_args"`
	ConfigExecTimeout   int      `toml:"config_exec_timeout"`
	PrepareExec         string   `toml:"prepare_exec"`
	PrepareArgs         []string `toml:"prepare_args"`
	PrepareExecTimeout  int      `toml:"prepare_exec_timeout"`
	RunExec             string   `toml:"run_exec"`
	RunArgs             []string `toml:"run_args"`
	CleanupExec         string   `toml:"cleanup_exec"`
	CleanupArgs         []string `toml:"cleanup_args"`
	CleanupExecTimeout  int      `toml:"cleanup_exec_timeout"`
	GracefulKillTimeout int      `toml:"graceful_kill_timeout"`
	ForceKillTimeout    int      `toml:"force_kill_timeout"`
}

// DockerMachine is the table `runners.machine`.
type DockerMachine struct {
	MaxGrowthRate          int                        `toml:"MaxGrowthRate"`
	IdleCount              int                        `toml:"IdleCount"`
	IdleScaleFactor        float64                    `toml:"IdleScaleFactor"`
	IdleCountMin           int                        `toml:"IdleCountMin"`
	IdleTime               int                        `toml:"IdleTime"`
	MaxBuilds              int                        `toml:"MaxBuilds"`
	MachineDriver          string                     `toml:"MachineDriver"`
	MachineName            string                     `toml:"MachineName"`
	MachineOptions         []string                   `toml:"MachineOptions"`
	MachineOptionsWithName []string                   `toml:"MachineOptionsWithName"`
	MaxRemovalAttempts     int                        `toml:"MaxRemovalAttempts"`
	OffPeakPeriods         []string                   `toml:"OffPeakPeriods"`
	OffPeakTimezone        string                     `toml:"OffPeakTimezone"`
	OffPeakIdleCount       int                        `toml:"OffPeakIdleCount"`
	OffPeakIdleTime        int                        `toml:"OffPeakIdleTime"`
	Autoscaling            []DockerMachineAutoscaling `toml:"autoscaling"`
}

// DockerMachineAutoscaling is the table `runners.machine.autoscaling`.
type DockerMachineAutoscaling struct {
	Periods         []string `toml:"Periods"`
	Timezone        string   `toml:"Timezone"`
	IdleCount       int      `toml:"IdleCount"`
	IdleScaleFactor float64  `toml:"IdleScaleFactor"`
	IdleCountMin    int      `toml:"IdleCountMin"`
	IdleTime        int      `toml:"IdleTime"`
}
