package manager

import (
	"context"
	"fmt"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"gitlab-runner-proxmox/lab/internal/runner/api"
	"gitlab-runner-proxmox/lab/internal/runner/build"
	"gitlab-runner-proxmox/lab/internal/runner/config"
	"gitlab-runner-proxmox/lab/internal/runner/joblog"
	"gitlab-runner-proxmox/lab/internal/runner/logging"
	"gitlab-runner-proxmox/lab/internal/runner/metrics"
	"gitlab-runner-proxmox/lab/internal/runner/trace"
)

// executor is the only one that this runner has.
const executor = "docker"

func (m *Manager) server(runner *config.Runner) *api.Server {
	return &api.Server{
		URL: runner.URL, Token: runner.Token, Short: runner.ShortToken(), SystemID: m.systemID,
		CAFile: runner.TLSCAFile, CertFile: runner.TLSCertFile, KeyFile: runner.TLSKeyFile,
		CertificatesDir: filepath.Join(filepath.Dir(m.ConfigFile), "certs"),
	}
}

func info(runner *config.Runner) api.Info {
	info := api.NewInfo(runner.Executor, runner.Shell)
	info.Labels = runner.Labels
	if runner.Docker != nil {
		info.Config.Gpus = runner.Docker.Gpus
	}
	return info
}

// process polls for one runner, and runs the job that this brings.
func (m *Manager) process(runner *config.Runner) {
	if runner.Executor != executor {
		m.log().With(logging.Fields{"runner": runner.ShortToken()}).Error(
			fmt.Sprintf("Executor %q is not known; marking Runner as unhealthy", runner.Executor))
		m.markHealth(runner, false)
		return
	}
	if !m.slots.acquireBuild(runner) {
		return
	}
	defer m.slots.releaseBuild(runner)
	if !m.slots.acquireRequest(runner) {
		return
	}
	server := m.server(runner)
	job := m.request(runner, server)
	m.slots.releaseRequest(runner, job != nil)
	if job == nil {
		return
	}
	m.run(runner, server, job)
}

func (m *Manager) markHealth(runner *config.Runner, healthy bool) {
	if m.health.mark(runner, healthy) {
		m.metrics.HealthFailures.WithLabelValues(runner.ShortToken(), runner.Name, m.systemID).Inc()
	}
}

// request polls for a job and tells GitLab that it is taken; nil for none.
func (m *Manager) request(runner *config.Runner, server *api.Server) *api.Job {
	log := m.log().With(logging.Fields{"runner": server.Short, "runner_name": runner.Name})
	job, outcome, err := m.client.RequestJob(m.polling, server, info(runner))
	if m.polling.Err() != nil && job == nil {
		return nil
	}
	m.markHealth(runner, outcome != api.Refused)
	switch {
	case err == api.ErrForbidden:
		log.With(logging.Fields{"status": "403 Forbidden"}).Error("Checking for jobs... forbidden")
		return nil
	case err != nil:
		log.With(logging.Fields{"status": err.Error()}).Warning("Checking for jobs... failed")
		return nil
	case job == nil:
		log.Debug("Checking for jobs... nothing")
		return nil
	}
	log.With(logging.Fields{"job": job.ID, "repo_url": cleanURL(job.GitInfo.RepoURL)}).Info("Checking for jobs... received")
	result, wishes := m.client.UpdateJob(context.Background(), server, info(runner),
		api.JobRef{ID: job.ID, Token: job.Token}, api.Update{State: api.Running})
	if result == api.UpdateAborts || wishes.CancelGracefully {
		log.With(logging.Fields{"job": job.ID}).Warning("The job was canceled before it began")
		return nil
	}
	return job
}

var credentials = regexp.MustCompile(`//[^/@]*@`)

func cleanURL(url string) string { return credentials.ReplaceAllString(url, "//") }

// run takes a job from its first line in the log to the report of its end.
func (m *Manager) run(runner *config.Runner, server *api.Server, job *api.Job) {
	copied := *runner
	log := m.Log.With(logging.Fields{
		"job": job.ID, "project": job.JobInfo.ProjectID, "runner": server.Short, "runner_name": runner.Name,
	})
	b := build.New(job, &copied, server, m.hostname, m.User, log)
	if b.Flag(build.FlagHighCardinalityMetrics) {
		b.OnStage = func(stage build.Stage, took time.Duration) {
			m.metrics.JobStageDuration.WithLabelValues(server.Short, runner.Name, m.systemID, string(stage)).Observe(took.Seconds())
		}
	}
	m.slots.add(b)
	m.noteQueue(runner, job)
	fields := logging.Fields{
		"job": job.ID, "project": job.JobInfo.ProjectID, "project_full_path": job.JobInfo.ProjectFullPath,
		"runner": runner.Name, "repo_url": cleanURL(job.GitInfo.RepoURL),
		"time_in_queue_seconds": job.JobInfo.TimeInQueueSeconds,
		"queue_size":            job.JobInfo.QueueSize, "queue_depth": job.JobInfo.QueueDepth,
	}
	m.log().With(fields).Info("Added job to processing list")
	if !runner.StrictCheckInterval {
		// Another worker may ask at once for the next job.
		select {
		case m.feeds <- runner:
		default:
		}
	}
	result := m.execute(b)
	m.metrics.JobDuration.WithLabelValues(server.Short, runner.Name, m.systemID).Observe(b.Duration().Seconds())
	if result.Err != nil {
		m.metrics.ProcessingFailures.WithLabelValues(metrics.FailureJob, server.Short, runner.Name, m.systemID).Inc()
	}
	m.slots.remove(b)
	m.log().With(fields).Info("Removed job from processing list")
}

func (m *Manager) execute(b *build.Build) build.Result {
	ctx, cancel := context.WithCancelCause(m.aborting)
	defer cancel(nil)
	buffer := joblog.NewBuffer(b.Runner.OutputBytes())
	log := joblog.New(buffer, b.LogOptions())
	sender := trace.New(buffer, trace.Options{
		Client: m.client, Server: b.Server, Info: info(b.Runner),
		Job: api.JobRef{ID: b.Job.ID, Token: b.Job.Token}, Debug: b.Debug(), FinalUpdates: b.Runner.FinalUpdates(),
		Abort:  func() { cancel(build.ErrCanceled) },
		Cancel: b.CancelScript,
	})
	sender.Start()
	result := b.Run(ctx, m.NewExecutor(b, log), log)
	if err := log.Close(); err != nil {
		b.Log.WithError(err).Error("Closing the job's log")
	}
	update := api.Update{State: api.Success}
	if result.Err != nil {
		update = api.Update{
			State: api.Failed, FailureReason: b.Job.Features.Report(result.FailureReason), ExitCode: result.ExitCode,
		}
		// Counted before the job leaves the list, so that no look at the metrics takes it for a success.
		m.metrics.FailedJobs.WithLabelValues(b.Server.Short, b.Runner.Name, string(result.FailureReason)).Inc()
	}
	m.logFinal(b, sender.Finish(update))
	return result
}

func (m *Manager) logFinal(b *build.Build, result api.UpdateResult) {
	switch result {
	case api.UpdateAccepted:
		b.Log.Info("Submitting job to coordinator...", "ok")
	case api.UpdateAborts:
		b.Log.Warning("Submitting job to coordinator...", "aborted")
	default:
		b.Log.Error("Submitting job to coordinator...", "failed")
	}
}

// noteQueue counts a job that begins, and how long it has waited.
func (m *Manager) noteQueue(runner *config.Runner, job *api.Job) {
	labels := []string{runner.ShortToken(), runner.Name, m.systemID}
	info := job.JobInfo
	m.metrics.Jobs.WithLabelValues(labels...).Inc()
	m.metrics.QueueDuration.WithLabelValues(append(append([]string{}, labels...), info.ProjectJobsRunning)...).
		Observe(info.TimeInQueueSeconds)
	m.metrics.QueueSize.WithLabelValues(labels...).Set(float64(info.QueueSize))
	m.metrics.QueueDepth.WithLabelValues(labels...).Set(float64(info.QueueDepth))
	exceeded := m.metrics.QueuedTooLong.WithLabelValues(labels...)
	if queuedTooLong(runner.Monitoring, info) {
		exceeded.Inc()
	}
}

// queuedTooLong compares a job's wait with the threshold that applies now. Periods are not
// evaluated: every threshold applies at any time.
func queuedTooLong(monitoring *config.Monitoring, info api.JobInfo) bool {
	if monitoring == nil {
		return false
	}
	for _, rule := range monitoring.JobQueuingDurations {
		if rule.Threshold <= 0 || info.TimeInQueueSeconds <= rule.Threshold.Seconds() {
			continue
		}
		pattern, err := regexp.Compile(rule.JobsRunningForProject)
		if strings.TrimSpace(rule.JobsRunningForProject) == "" || err != nil || pattern.MatchString(info.ProjectJobsRunning) {
			return true
		}
	}
	return false
}
