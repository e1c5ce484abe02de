// Package metrics counts what the runner does, under the names and labels of gitlab-runner.
package metrics

import (
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"gitlab-runner-proxmox/lab/internal/runner/api"
	"gitlab-runner-proxmox/lab/internal/runner/logging"
	"gitlab-runner-proxmox/lab/internal/runner/version"
)

// Kinds of worker failures.
const (
	FailureOther          = "other"
	FailureNoFreeExecutor = "no_free_executor"
	FailureJob            = "job_failure"
)

// Operations on slots.
const (
	SlotStarted = "started"
	SlotStopped = "stopped"
)

// States of the process.
const (
	Starting         = "starting"
	Running          = "running"
	GracefulShutdown = "graceful-shutdown"
	ForcefulShutdown = "forceful-shutdown"
)

// Metrics are all of one process.
type Metrics struct {
	Registry *prometheus.Registry

	Jobs               *prometheus.CounterVec
	FailedJobs         *prometheus.CounterVec
	JobDuration        *prometheus.HistogramVec
	JobStageDuration   *prometheus.HistogramVec
	QueueDuration      *prometheus.HistogramVec
	QueueSize          *prometheus.GaugeVec
	QueueDepth         *prometheus.GaugeVec
	QueuedTooLong      *prometheus.CounterVec
	Feeds              *prometheus.CounterVec
	FeedFailures       *prometheus.CounterVec
	Slots              prometheus.Gauge
	SlotOperations     *prometheus.CounterVec
	ProcessingFailures *prometheus.CounterVec
	HealthFailures     *prometheus.CounterVec
	ConfigLoaded       prometheus.Counter
	ConfigLoadErrors   prometheus.Counter
	ConfigSaved        prometheus.Counter
	ConfigSaveErrors   prometheus.Counter

	errors      *prometheus.CounterVec
	apiStatuses *prometheus.CounterVec
	apiDuration *prometheus.HistogramVec
	apiRetries  *prometheus.CounterVec
	state       *prometheus.GaugeVec
}

var (
	runnerLabels = []string{"runner", "runner_name", "system_id"}
	apiBuckets   = []float64{0.1, 0.25, 0.5, 1, 2.5, 5, 10, 15, 30, 60, 120, 300, 600}
	jobBuckets   = []float64{30, 60, 300, 600, 1800, 3600, 7200, 10800, 18000, 36000}
	queueBuckets = []float64{1, 3, 10, 30, 60, 120, 300, 900, 1800, 3600}
	stageBuckets = []float64{1, 3, 10, 30, 60, 120, 300, 900, 1800, 3600}
)

func with(labels []string, more ...string) []string {
	return append(append([]string{}, labels...), more...)
}

// New makes the metrics of a process that starts.
func New() *Metrics {
	counters := func(name, help string, labels []string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
	}
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
	}
	gauges := func(name, help string, labels []string) *prometheus.GaugeVec {
		return prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: name, Help: help}, labels)
	}
	histograms := func(name, help string, buckets []float64, labels []string) *prometheus.HistogramVec {
		return prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: name, Help: help, Buckets: buckets}, labels)
	}
	m := &Metrics{
		Registry: prometheus.NewRegistry(),
		Jobs:     counters("gitlab_runner_jobs_total", "Total number of handled jobs", runnerLabels),
		FailedJobs: counters("gitlab_runner_failed_jobs_total", "Total number of failed jobs",
			[]string{"runner", "runner_name", "failure_reason"}),
		JobDuration: histograms("gitlab_runner_job_duration_seconds", "Histogram of job durations", jobBuckets, runnerLabels),
		JobStageDuration: histograms("gitlab_runner_job_stage_duration_seconds", "Histogram of each job stage duration",
			stageBuckets, with(runnerLabels, "stage")),
		QueueDuration: histograms("gitlab_runner_job_queue_duration_seconds",
			"A histogram representing job queue duration.", queueBuckets, with(runnerLabels, "project_jobs_running")),
		QueueSize: gauges("gitlab_runner_job_queue_size",
			"A gauge representing the size of the queue for the runner", runnerLabels),
		QueueDepth: gauges("gitlab_runner_job_queue_depth",
			"A gauge representing the search depth in the queue for the runner", runnerLabels),
		QueuedTooLong: counters("gitlab_runner_acceptable_job_queuing_duration_exceeded_total",
			"Counts how often jobs exceed the configured queuing time threshold", runnerLabels),
		Feeds: counters("gitlab_runner_worker_feeds_total",
			"Total number of times that runner worker is fed to the main loop", runnerLabels),
		FeedFailures: counters("gitlab_runner_worker_feed_failures_total",
			"Total number of times that runner worker feeding have failed", runnerLabels),
		Slots: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "gitlab_runner_worker_slots_number", Help: "Current number of runner worker slots"}),
		SlotOperations: counters("gitlab_runner_worker_slot_operations_total",
			"Total number of runner workers slot operations (starting and stopping slots)", []string{"operation"}),
		ProcessingFailures: counters("gitlab_runner_worker_processing_failures_total",
			"Total number of failures when processing runner worker", with([]string{"failure_type"}, runnerLabels...)),
		HealthFailures: counters("gitlab_runner_worker_health_check_failures_total",
			"Total number of runner worker health check failures", runnerLabels),
		ConfigLoaded: counter("gitlab_runner_configuration_loaded_total",
			"Total number of times the configuration file was loaded by Runner process"),
		ConfigLoadErrors: counter("gitlab_runner_configuration_loading_error_total",
			"Total number of times the configuration file was not loaded by Runner process due to errors"),
		ConfigSaved: counter("gitlab_runner_configuration_saved_total",
			"Total number of times the configuration file was saved by Runner process"),
		ConfigSaveErrors: counter("gitlab_runner_configuration_saving_error_total",
			"Total number of times the configuration file was not saved by Runner process due to errors"),
		errors: counters("gitlab_runner_errors_total", "The number of caught errors.", []string{"level"}),
		apiStatuses: counters("gitlab_runner_api_request_statuses_total",
			"The total number of API requests made by GitLab Runner, partitioned by runner, system_id, endpoint, status and method.",
			[]string{"runner", "system_id", "endpoint", "status", "method"}),
		apiDuration: histograms("gitlab_runner_api_request_duration_seconds",
			"Latency histogram of API requests made by GitLab Runner, partitioned by runner, system_id, endpoint, status_class and method.",
			apiBuckets, []string{"runner", "system_id", "endpoint", "status_class", "method"}),
		apiRetries: counters("gitlab_runner_api_request_retries_total",
			"The total number of retries made by GitLab Runner in process of completing a request, partitioned by path and method.",
			[]string{"path", "method"}),
		state: gauges("gitlab_runner_process_state_info",
			"This metric provides info about the current state of the GitLab Runner process", []string{"state"}),
	}
	info := gauges("gitlab_runner_version_info",
		"A metric with a constant '1' value labeled by different build stats fields.",
		[]string{"architecture", "branch", "built_at", "go_version", "name", "os", "revision", "version"})
	info.With(version.Labels()).Set(1)
	for _, level := range []logging.Level{logging.Warning, logging.Error, logging.Fatal, logging.Panic} {
		m.errors.WithLabelValues(level.String())
	}
	for _, operation := range []string{SlotStarted, SlotStopped} {
		m.SlotOperations.WithLabelValues(operation)
	}
	m.SetState(Starting)
	m.Registry.MustRegister(
		m.Jobs, m.FailedJobs, m.JobDuration, m.JobStageDuration, m.QueueDuration, m.QueueSize, m.QueueDepth,
		m.QueuedTooLong, m.Feeds, m.FeedFailures, m.Slots, m.SlotOperations, m.ProcessingFailures,
		m.HealthFailures, m.ConfigLoaded, m.ConfigLoadErrors, m.ConfigSaved, m.ConfigSaveErrors,
		m.errors, m.apiStatuses, m.apiDuration, m.apiRetries, m.state, info,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	return m
}

// SetState says what the process is at.
func (m *Metrics) SetState(state string) {
	m.state.Reset()
	m.state.WithLabelValues(state).Set(1)
}

// Runner makes a runner's counters visible before the first event.
func (m *Metrics) Runner(short, name, systemID string) {
	m.Feeds.WithLabelValues(short, name, systemID)
	m.FeedFailures.WithLabelValues(short, name, systemID)
	m.HealthFailures.WithLabelValues(short, name, systemID)
	for _, kind := range []string{FailureOther, FailureNoFreeExecutor, FailureJob} {
		m.ProcessingFailures.WithLabelValues(kind, short, name, systemID)
	}
}

// Logged counts messages that tell of trouble.
func (m *Metrics) Logged(level logging.Level) {
	if level >= logging.Warning {
		m.errors.WithLabelValues(level.String()).Inc()
	}
}

// Requested implements api.Observer.
func (m *Metrics) Requested(server *api.Server, endpoint api.Endpoint, status int, method string, took time.Duration) {
	method = strings.ToLower(method)
	m.apiStatuses.WithLabelValues(server.Short, server.SystemID, string(endpoint), strconv.Itoa(status), method).Inc()
	class := strconv.Itoa(status/100) + "xx"
	m.apiDuration.WithLabelValues(server.Short, server.SystemID, string(endpoint), class, method).Observe(took.Seconds())
}

// Retried implements api.Observer.
func (m *Metrics) Retried(path, method string) {
	m.apiRetries.WithLabelValues(path, strings.ToLower(method)).Inc()
}
