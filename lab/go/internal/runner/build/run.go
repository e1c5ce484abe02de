package build

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"gitlab-runner-proxmox/lab/internal/runner/api"
	"gitlab-runner-proxmox/lab/internal/runner/joblog"
	"gitlab-runner-proxmox/lab/internal/runner/logging"
	"gitlab-runner-proxmox/lab/internal/runner/version"
)

const (
	afterScriptTimeout = 5 * time.Minute
	// endTimeout is how long a canceled build may take to let go.
	endTimeout   = 5 * time.Minute
	prepareTries = 3
	preparePause = 3 * time.Second
	firstRetry   = 5 * time.Second
	longestRetry = 5 * time.Minute
)

// Executor is where a build's stages run.
type Executor interface {
	// Prepare makes what the job needs. ctx ends with the job.
	Prepare(ctx context.Context) error
	// Run feeds a script to a shell in the helper's container, or in the job's.
	Run(ctx context.Context, stage Stage, script string) error
	// Cleanup removes all that Prepare and Run have made, also after a failure.
	Cleanup()
}

// Result is the end of a build, as it is reported.
type Result struct {
	State         State
	FailureReason api.FailureReason
	ExitCode      int
	Err           error
}

// LogOptions say how the job's log is to be written.
func (b *Build) LogOptions() joblog.Options {
	return joblog.Options{
		Masked:        b.Variables().Masked(),
		TokenPrefixes: b.Job.Features.TokenMaskPrefixes,
		DefaultTokens: b.Flag(FlagMaskDefaultTokens),
		Stamps:        b.Flag(FlagTimestamps),
		Sections:      b.Job.Features.TraceSections,
	}
}

// CancelScript ends the script that runs, so that the stages after it still come; a build without a
// running script ends as a whole.
func (b *Build) CancelScript() {
	b.mu.Lock()
	cancel := b.cancelScript
	b.mu.Unlock()
	if cancel != nil {
		cancel()
	}
}

func (b *Build) onCancel(cancel func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.cancelScript = cancel
}

// Run takes the job through its stages, and says in the log how it ended. The cause of ctx's end is
// the build's error.
func (b *Build) Run(ctx context.Context, executor Executor, log *joblog.Log) (result Result) {
	ctx, stop := context.WithTimeout(ctx, b.Timeout())
	defer stop()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	b.onCancel(func() { cancel(ErrCanceled) })
	b.writeHeader(log)
	err := b.runUntil(ctx, executor, log)
	state, err := b.outcome(err)
	b.setState(state)
	b.mu.Lock()
	b.finished = time.Now()
	b.mu.Unlock()
	return b.conclude(state, err, log)
}

func (b *Build) writeHeader(log *joblog.Log) {
	log.Println("Running with " + version.Line())
	log.Println(fmt.Sprintf("  on %s %s, system ID: %s", b.Runner.Name, b.Server.Short, b.Server.SystemID))
	var changed []string
	for _, flag := range flags {
		if b.flags[flag.name] != flag.on {
			changed = append(changed, fmt.Sprintf("%s:%t", flag.name, b.flags[flag.name]))
		}
	}
	if len(changed) > 0 {
		log.Println("  feature flags: " + strings.Join(changed, ", "))
	}
}

// runUntil returns when the build has ended, or a while after ctx has.
func (b *Build) runUntil(ctx context.Context, executor Executor, log *joblog.Log) error {
	b.setState(Running)
	done := make(chan error, 1)
	go func() { done <- b.executeAndCleanUp(ctx, executor, log) }()
	select {
	case err := <-done:
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		return err
	case <-ctx.Done():
	}
	select {
	case <-done:
	case <-time.After(endTimeout):
		log.Warning("Timed out waiting for the build to finish")
	}
	return context.Cause(ctx)
}

func (b *Build) executeAndCleanUp(ctx context.Context, executor Executor, log *joblog.Log) (err error) {
	defer func() {
		if fault := recover(); fault != nil {
			err = &Error{Reason: api.RunnerSystemFailure, Err: fmt.Errorf("panic: %v", fault)}
		}
	}()
	defer executor.Cleanup()
	return b.execute(ctx, executor, log)
}

func (b *Build) execute(ctx context.Context, executor Executor, log *joblog.Log) error {
	if err := b.checkProjectDir(); err != nil {
		return err
	}
	if err := b.prepare(ctx, executor, log); err != nil {
		return err
	}
	if err := b.stageRun(ctx, PrepareScript, executor, log); err != nil {
		return fmt.Errorf("prepare environment: %w. Check "+
			"https://docs.gitlab.com/runner/shells/#shell-profile-loading for more information", err)
	}
	err := b.fetch(ctx, executor, log)
	if err == nil {
		err = b.userScripts(ctx, executor, log)
	}
	archive, upload := ArchiveCache, UploadArtifactsOnSuccess
	if err != nil {
		archive, upload = ArchiveCacheOnFailure, UploadArtifactsOnFailure
	}
	archiving := b.stageRun(ctx, archive, executor, log)
	uploading := b.stageRun(ctx, upload, executor, log)
	if cleaning := b.stageRun(ctx, CleanupFileVariables, executor, log); cleaning != nil && ctx.Err() == nil {
		b.Log.WithError(cleaning).Warning("Error while executing file based variables removal script")
	}
	for _, err := range []error{err, archiving, uploading} {
		if err != nil {
			return err
		}
	}
	return nil
}

// prepare brings the executor up. What is not the job's fault is tried again.
func (b *Build) prepare(ctx context.Context, executor Executor, log *joblog.Log) error {
	b.setStage(PrepareExecutor)
	if b.Runner.PrepareTimeout > 0 {
		var stop func()
		ctx, stop = context.WithTimeoutCause(ctx, b.Runner.PrepareTimeout, &Error{
			Reason: api.RunnerSystemFailure, Err: errors.New("prepare_timeout exceeded")})
		defer stop()
	}
	heading := fmt.Sprintf("Preparing the %q executor", b.Runner.Executor)
	return log.Section(string(PrepareExecutor), heading, func() error {
		var err error
		for range prepareTries {
			if err = executor.Prepare(ctx); err == nil {
				return nil
			}
			executor.Cleanup()
			var known *Error
			if errors.As(err, &known) {
				return err
			}
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			log.Error("Preparation failed: " + err.Error())
			log.Info(fmt.Sprintf("Will be retried in %v ...", preparePause))
			if !pause(ctx, preparePause) {
				return context.Cause(ctx)
			}
		}
		return err
	})
}

func pause(ctx context.Context, length time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(length):
		return true
	}
}

// fetch brings sources, caches and artifacts.
func (b *Build) fetch(ctx context.Context, executor Executor, log *joblog.Log) error {
	sources := ctx
	if b.Runner.GetSourcesTimeout > 0 {
		var stop func()
		sources, stop = context.WithTimeoutCause(ctx, b.Runner.GetSourcesTimeout, &Error{
			Reason: api.RunnerSystemFailure, Err: errors.New("get_sources_timeout exceeded")})
		defer stop()
	}
	for _, part := range []struct {
		ctx      context.Context
		stage    Stage
		attempts string
	}{
		{sources, GetSources, "GET_SOURCES_ATTEMPTS"},
		{ctx, RestoreCache, "RESTORE_CACHE_ATTEMPTS"},
		{ctx, DownloadArtifacts, "ARTIFACT_DOWNLOAD_ATTEMPTS"},
	} {
		if err := b.attempt(part.ctx, part.stage, b.Variables().Int(part.attempts, 1), executor, log); err != nil {
			return err
		}
	}
	return nil
}

func (b *Build) attempt(ctx context.Context, stage Stage, attempts int, executor Executor, log *joblog.Log) error {
	if attempts < 1 || attempts > 10 {
		return fmt.Errorf("number of attempts out of the range [1, 10] for stage: %s", stage)
	}
	wait := firstRetry
	for attempt := 1; ; attempt++ {
		err := b.stageRun(ctx, stage, executor, log)
		if err == nil || attempt == attempts || ctx.Err() != nil {
			return err
		}
		if b.Flag(FlagStageRetryBackoff) {
			log.Info(fmt.Sprintf("Retrying in %v", wait))
			if !pause(ctx, wait) {
				return context.Cause(ctx)
			}
			wait = min(wait*3/2, longestRetry)
		}
		if stage == GetSources && attempt == 1 {
			if err := b.stageRun(ctx, ClearWorktree, executor, log); err != nil {
				log.Warning(err.Error())
			}
		}
	}
}

// userScripts runs script and after_script. The end of the first decides.
func (b *Build) userScripts(ctx context.Context, executor Executor, log *joblog.Log) error {
	script, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	b.onCancel(func() { cancel(ErrCanceled) })
	limited, stop := b.limit(script, "RUNNER_SCRIPT_TIMEOUT", 0, log)
	defer stop()
	err := b.stageRun(limited, UserScript, executor, log)
	switch {
	case ctx.Err() != nil:
	case script.Err() != nil:
		err = &Error{Reason: api.JobCanceled, Err: ErrCanceled}
		log.Warning("script canceled externally (UI, API)")
	case limited.Err() != nil:
		err = &Error{Reason: api.JobExecutionTimeout, Err: errScriptTimeout}
	}
	state, _ := b.outcome(err)
	b.setStatus(string(state))
	after, stop := b.limit(ctx, "RUNNER_AFTER_SCRIPT_TIMEOUT", afterScriptTimeout, log)
	defer stop()
	failure := b.stageRun(after, AfterScript, executor, log)
	switch {
	case failure == nil || ctx.Err() != nil:
	case b.Variables().Get("AFTER_SCRIPT_IGNORE_ERRORS") != "false":
		log.Warning("after_script failed, but job will continue unaffected: " + failure.Error())
	case err == nil:
		err = failure
	}
	return err
}

// limit applies a time limit that the job may set; 0 is none.
func (b *Build) limit(ctx context.Context, name string, otherwise time.Duration, log *joblog.Log) (context.Context, func()) {
	limit := otherwise
	if text := strings.TrimSpace(b.Variables().Get(name)); text != "" {
		wanted, err := time.ParseDuration(text)
		deadline, _ := ctx.Deadline()
		switch {
		case err != nil:
			log.Warning(fmt.Sprintf("Ignoring malformed %s timeout: %v", name, text))
		case wanted < 0:
			log.Warning(fmt.Sprintf("Ignoring relative %s timeout: %v", name, text))
		case wanted > time.Until(deadline):
			log.Warning(fmt.Sprintf("%s timeout: %v is longer than job timeout. Setting to job timeout", name, text))
		case wanted > 0:
			limit = wanted
		}
	}
	if limit == 0 {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, limit)
}

// stageRun runs a stage under its heading. A stage without work does not show.
func (b *Build) stageRun(ctx context.Context, stage Stage, executor Executor, log *joblog.Log) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	b.setStage(stage)
	script, err := b.script(stage)
	switch {
	case errors.Is(err, errNothingToDo):
		return nil
	case err != nil:
		return err
	}
	began := time.Now()
	err = log.Section(string(stage), stage.Heading(), func() error {
		return executor.Run(ctx, stage, script)
	})
	if b.OnStage != nil {
		b.OnStage(stage, time.Since(began))
	}
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		log.Warning(string(stage) + " could not run to completion because the timeout was exceeded. " +
			"For more control over job and script timeouts see: " +
			"https://docs.gitlab.com/ci/runners/configure_runners/#set-script-and-after_script-timeouts")
	}
	if err != nil && ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// conclude says how the build has ended, in its log and in the runner's own.
func (b *Build) conclude(state State, err error, log *joblog.Log) Result {
	own := b.Log.With(logging.Fields{"duration_s": b.Duration().Seconds()})
	if err == nil {
		log.Info("Job succeeded")
		own.With(logging.Fields{"job-status": "success"}).Info("Job succeeded")
		return Result{State: state}
	}
	var known *Error
	if !errors.As(err, &known) {
		known = &Error{Reason: api.RunnerSystemFailure, Err: err}
	}
	system := ""
	if known.Reason == api.RunnerSystemFailure || known.Reason == api.RunnerInterrupted {
		system = " (system failure)"
	}
	message := fmt.Sprintf("Job failed%s: %v", system, err)
	log.Error(message)
	own.With(logging.Fields{
		"job-status": "failed", "error": err.Error(),
		"failure_reason": string(known.Reason), "exit_code": known.ExitCode,
	}).Warning(message)
	return Result{State: state, FailureReason: known.Reason, ExitCode: known.ExitCode, Err: err}
}
