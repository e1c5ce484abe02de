package config

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	defaultCheckInterval     = 3 * time.Second
	defaultShutdownTimeout   = 30 * time.Second
	defaultOutputLimit       = 4096
	defaultUnhealthyLimit    = 3
	defaultUnhealthyInterval = time.Hour
	defaultFinalUpdates      = 10
	defaultServiceWait       = 30 * time.Second
)

// Interval is the time between two requests for jobs.
func (c *Config) Interval() time.Duration {
	if c.CheckInterval > 0 {
		return time.Duration(c.CheckInterval) * time.Second
	}
	return defaultCheckInterval
}

// Shutdown is how long aborted jobs may take to end.
func (c *Config) Shutdown() time.Duration {
	if c.ShutdownTimeout > 0 {
		return time.Duration(c.ShutdownTimeout) * time.Second
	}
	return defaultShutdownTimeout
}

// ShortToken is the part of the token that names the runner in logs, metrics and containers.
func (r *Runner) ShortToken() string { return ShortToken(r.Token) }

var tokenPrefix = regexp.MustCompile(`^(gl[a-z]+-|GR1348941)`)

// ShortToken shortens a token so that it no longer opens anything.
func ShortToken(token string) string {
	token = tokenPrefix.ReplaceAllString(token, "")
	return token[:min(len(token), 9)]
}

// Requests is how many requests for jobs may be under way at once.
func (r *Runner) Requests() int { return max(r.RequestConcurrency, 1) }

// OutputBytes is how long a job's log may get.
func (r *Runner) OutputBytes() int {
	if r.OutputLimit > 0 {
		return r.OutputLimit * 1024
	}
	return defaultOutputLimit * 1024
}

// RefusalLimit is how many refusals in a row make GitLab unhealthy to this runner.
func (r *Runner) RefusalLimit() int {
	if r.UnhealthyRequestsLimit > 0 {
		return r.UnhealthyRequestsLimit
	}
	return defaultUnhealthyLimit
}

// UnhealthyPause is how long an unhealthy GitLab is left alone.
func (r *Runner) UnhealthyPause() time.Duration {
	if r.UnhealthyInterval > 0 {
		return r.UnhealthyInterval
	}
	return defaultUnhealthyInterval
}

// FinalUpdates is how often the end of a job is reported before the runner gives up.
func (r *Runner) FinalUpdates() int {
	if r.JobStatusFinalUpdateRetryLimit > 0 {
		return r.JobStatusFinalUpdateRetryLimit
	}
	return defaultFinalUpdates
}

// ServiceWait is how long services may take to open their ports; 0 for no wait.
func (d *Docker) ServiceWait() time.Duration {
	switch {
	case d.WaitForServicesTimeout > 0:
		return time.Duration(d.WaitForServicesTimeout) * time.Second
	case d.WaitForServicesTimeout < 0:
		return 0
	}
	return defaultServiceWait
}

// NanoCPUs turns the value of cpus into Docker's unit; 0 for no limit.
func NanoCPUs(cpus string) (int64, error) {
	if cpus == "" {
		return 0, nil
	}
	number, err := strconv.ParseFloat(cpus, 64)
	if err != nil || number < 0 {
		return 0, fmt.Errorf("%q is not a number of CPUs", cpus)
	}
	return int64(number * 1e9), nil
}

var size = regexp.MustCompile(`^(\d+(?:\.\d+)?) ?([kKmMgGtTpP]?)(?:[iI]?[bB])?$`)

// Bytes turns a size such as 4g into bytes; 0 for none, -1 for no limit of swap.
func Bytes(text string) (int64, error) {
	switch text {
	case "":
		return 0, nil
	case "-1":
		return -1, nil
	}
	match := size.FindStringSubmatch(text)
	if match == nil {
		return 0, fmt.Errorf("%q is not a size such as 512m or 4g", text)
	}
	number, err := strconv.ParseFloat(match[1], 64)
	if err != nil {
		return 0, fmt.Errorf("%q is not a size: %w", text, err)
	}
	for range strings.Index(" kmgtp", strings.ToLower(match[2] + " ")[:1]) {
		number *= 1024
	}
	return int64(number), nil
}

// Ulimit is a limit of a container's processes.
type Ulimit struct {
	Name string
	Soft int64
	Hard int64
}

// ParseUlimit reads a value such as 1024 or 1024:2048.
func ParseUlimit(name, value string) (Ulimit, error) {
	softText, hardText, both := strings.Cut(value, ":")
	if !both {
		hardText = softText
	}
	soft, err := strconv.ParseInt(softText, 10, 64)
	if err != nil {
		return Ulimit{}, fmt.Errorf("ulimit %s: %q is not a number or soft:hard", name, value)
	}
	hard, err := strconv.ParseInt(hardText, 10, 64)
	if err != nil {
		return Ulimit{}, fmt.Errorf("ulimit %s: %q is not a number or soft:hard", name, value)
	}
	return Ulimit{Name: name, Soft: soft, Hard: hard}, nil
}

// Pull policies of the Docker executor.
const (
	PullAlways       = "always"
	PullIfNotPresent = "if-not-present"
	PullNever        = "never"
)

// PullPolicies says how an image may be brought, in the order of attempts.
//
// The job's own wish comes before the configured policies; of either, only what is allowed stays,
// in its order and with its repetitions. Without allowed_pull_policies, what is configured is what
// is allowed.
func (d *Docker) PullPolicies(wanted []string) ([]string, error) {
	configured := []string(d.PullPolicy)
	if len(configured) == 0 {
		configured = []string{PullAlways}
	}
	allowed := d.AllowedPullPolicies
	if len(allowed) == 0 {
		allowed = configured
	}
	source, policies := "Runner config", configured
	if len(wanted) > 0 {
		source, policies = "GitLab pipeline config", wanted
	} else if len(d.PullPolicy) == 0 {
		source = "Runner config (default)"
	}
	for _, policy := range append(append([]string{}, policies...), allowed...) {
		switch policy {
		case PullAlways, PullIfNotPresent, PullNever:
		default:
			return nil, fmt.Errorf("unsupported pull_policy config: %q", policy)
		}
	}
	var effective []string
	for _, policy := range policies {
		if slices.Contains(allowed, policy) {
			effective = append(effective, policy)
		}
	}
	if len(effective) == 0 {
		return nil, fmt.Errorf("pull_policy (%v) defined in %s is not one of the allowed_pull_policies (%v)",
			policies, source, allowed)
	}
	return effective, nil
}
