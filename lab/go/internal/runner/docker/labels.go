package docker

import (
	"maps"
	"strconv"
)

const labelPrefix = "com.gitlab.gitlab-runner."

// labels say of each thing that is made which job it is for, and that this runner manages it.
func (e *Executor) labels(kind string, more map[string]string) map[string]string {
	job := e.b.Job
	labels := map[string]string{
		labelPrefix + "managed":           "true",
		labelPrefix + "type":              kind,
		labelPrefix + "job.id":            strconv.FormatInt(job.ID, 10),
		labelPrefix + "job.url":           e.b.URL(),
		labelPrefix + "job.sha":           job.GitInfo.Sha,
		labelPrefix + "job.before_sha":    job.GitInfo.BeforeSha,
		labelPrefix + "job.ref":           job.GitInfo.Ref,
		labelPrefix + "job.timeout":       e.b.Timeout().String(),
		labelPrefix + "project.id":        strconv.FormatInt(job.JobInfo.ProjectID, 10),
		labelPrefix + "project.runner_id": strconv.Itoa(e.b.ProjectRunnerID),
		labelPrefix + "pipeline.id":       strconv.FormatInt(job.JobInfo.PipelineID, 10),
		labelPrefix + "runner.id":         e.b.Server.Short,
		labelPrefix + "runner.local_id":   strconv.Itoa(e.b.RunnerID),
		labelPrefix + "runner.system_id":  e.b.Server.SystemID,
	}
	for key, value := range more {
		labels[labelPrefix+key] = value
	}
	return labels
}

// containerLabels are labels with those that config.toml adds.
func (e *Executor) containerLabels(kind string, more map[string]string) map[string]string {
	labels := e.labels(kind, more)
	own := map[string]string{}
	for key, value := range e.docker.ContainerLabels {
		own[key] = e.expand(value)
	}
	maps.Copy(labels, own)
	return labels
}
