package build

import "strconv"

// Feature flags that this runner heeds. The others are accepted, shown and without effect.
const (
	FlagNetworkPerBuild        = "FF_NETWORK_PER_BUILD"
	FlagTimestamps             = "FF_TIMESTAMPS"
	FlagMaskDefaultTokens      = "FF_MASK_ALL_DEFAULT_TOKENS"
	FlagInit                   = "FF_USE_INIT_WITH_DOCKER_EXECUTOR"
	FlagDisableUmask           = "FF_DISABLE_UMASK_FOR_DOCKER_EXECUTOR"
	FlagJobCleanup             = "FF_ENABLE_JOB_CLEANUP"
	FlagExitCodeCheck          = "FF_ENABLE_BASH_EXIT_CODE_CHECK"
	FlagScriptSections         = "FF_SCRIPT_SECTIONS"
	FlagURLsWithoutTokens      = "FF_GIT_URLS_WITHOUT_TOKENS"
	FlagHashCacheKeys          = "FF_HASH_CACHE_KEYS"
	FlagAdaptiveConcurrency    = "FF_USE_ADAPTIVE_REQUEST_CONCURRENCY"
	FlagDisableTokenRotation   = "FF_DISABLE_AUTOMATIC_TOKEN_ROTATION"
	FlagStageRetryBackoff      = "FF_USE_EXPONENTIAL_BACKOFF_STAGE_RETRY"
	FlagHighCardinalityMetrics = "FF_EXPORT_HIGH_CARDINALITY_METRICS"
)

type flag struct {
	name string
	on   bool
}

// flags are all of 19.3.0, in its order, with their defaults.
var flags = []flag{
	{FlagNetworkPerBuild, false},
	{"FF_USE_LEGACY_KUBERNETES_EXECUTION_STRATEGY", false},
	{"FF_USE_DIRECT_DOWNLOAD", true},
	{"FF_USE_FASTZIP", false},
	{FlagDisableUmask, false},
	{FlagExitCodeCheck, false},
	{"FF_USE_WINDOWS_LEGACY_PROCESS_STRATEGY", false},
	{"FF_USE_LEGACY_BASH_EVAL", false},
	{"FF_USE_POWERSHELL_PATH_RESOLVER", false},
	{"FF_USE_DYNAMIC_TRACE_FORCE_SEND_INTERVAL", false},
	{FlagScriptSections, false},
	{FlagJobCleanup, false},
	{"FF_KUBERNETES_HONOR_ENTRYPOINT", false},
	{"FF_POSIXLY_CORRECT_ESCAPES", false},
	{"FF_RESOLVE_FULL_TLS_CHAIN", false},
	{"FF_DISABLE_POWERSHELL_STDIN", false},
	{"FF_USE_POD_ACTIVE_DEADLINE_SECONDS", true},
	{"FF_USE_ADVANCED_POD_SPEC_CONFIGURATION", false},
	{"FF_SECRET_RESOLVING_FAILS_IF_MISSING", true},
	{"FF_PRINT_POD_EVENTS", false},
	{"FF_USE_GIT_BUNDLE_URIS", true},
	{"FF_USE_GIT_NATIVE_CLONE", false},
	{"FF_USE_DUMB_INIT_WITH_KUBERNETES_EXECUTOR", false},
	{FlagInit, false},
	{"FF_LOG_IMAGES_CONFIGURED_FOR_JOB", false},
	{"FF_USE_DOCKER_AUTOSCALER_DIAL_STDIO", true},
	{"FF_CLEAN_UP_FAILED_CACHE_EXTRACT", false},
	{"FF_USE_WINDOWS_JOB_OBJECT", false},
	{FlagTimestamps, true},
	{FlagDisableTokenRotation, false},
	{"FF_USE_LEGACY_GCS_CACHE_ADAPTER", false},
	{"FF_DISABLE_UMASK_FOR_KUBERNETES_EXECUTOR", false},
	{"FF_USE_LEGACY_S3_CACHE_ADAPTER", false},
	{FlagURLsWithoutTokens, false},
	{"FF_WAIT_FOR_POD_TO_BE_REACHABLE", false},
	{FlagMaskDefaultTokens, true},
	{FlagHighCardinalityMetrics, false},
	{"FF_USE_FLEETING_ACQUIRE_HEARTBEATS", false},
	{FlagStageRetryBackoff, true},
	{FlagAdaptiveConcurrency, true},
	{"FF_USE_GITALY_CORRELATION_ID", true},
	{"FF_USE_GIT_PROACTIVE_AUTH", false},
	{FlagHashCacheKeys, false},
	{"FF_ENABLE_JOB_INPUTS_INTERPOLATION", true},
	{"FF_USE_JOB_ROUTER", false},
	{"FF_SCRIPT_TO_STEP_MIGRATION", false},
	{"FF_USE_PARALLEL_CACHE_TRANSFER", false},
	{"FF_USE_PARALLEL_ARTIFACT_TRANSFER", false},
	{"FF_CONCRETE", false},
	{"FF_SUSPENDABLE_ENVIRONMENTS", false},
	{"FF_USE_NATIVE_CONTAINER_STOP", false},
}

// Flag tells whether a feature is on for a runner, whatever the job says.
func Flag(configured map[string]bool, name string) bool {
	if on, ok := configured[name]; ok {
		return on
	}
	for _, flag := range flags {
		if flag.name == name {
			return flag.on
		}
	}
	return false
}

// resolveFlags finds out which features are on: config.toml counts before the job's variables.
func resolveFlags(configured map[string]bool, job Variables) map[string]bool {
	resolved := make(map[string]bool, len(flags))
	for _, flag := range flags {
		resolved[flag.name] = flag.on
		if value, err := strconv.ParseBool(job.Get(flag.name)); err == nil {
			resolved[flag.name] = value
		}
		if value, ok := configured[flag.name]; ok {
			resolved[flag.name] = value
		}
	}
	return resolved
}
