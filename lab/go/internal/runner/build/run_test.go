package build

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"gitlab-runner-proxmox/lab/internal/runner/api"
	"gitlab-runner-proxmox/lab/internal/runner/joblog"
)

// fake runs stages without containers: do decides how each goes.
type fake struct {
	do       func(ctx context.Context, stage Stage) error
	prepare  func() error
	stages   []Stage
	scripts  map[Stage]string
	prepared int
	cleaned  int
}

func (f *fake) Prepare(context.Context) error {
	f.prepared++
	if f.prepare != nil {
		return f.prepare()
	}
	return nil
}

func (f *fake) Run(ctx context.Context, stage Stage, script string) error {
	f.stages = append(f.stages, stage)
	if f.scripts == nil {
		f.scripts = map[Stage]string{}
	}
	f.scripts[stage] = script
	if f.do != nil {
		return f.do(ctx, stage)
	}
	return nil
}

func (f *fake) Cleanup() { f.cleaned++ }

func full(job *api.Job) {
	job.Steps = append(job.Steps, api.Step{Name: "after_script", Script: []string{"echo after"}})
	job.Cache = []api.Cache{{Key: "k", Paths: []string{"x"}, When: "always"}}
	job.Artifacts = []api.Artifact{{Paths: []string{"x"}, When: "always"}}
}

func runBuild(ctx context.Context, b *Build, f *fake) (Result, string) {
	buffer := joblog.NewBuffer(1 << 20)
	log := joblog.New(buffer, joblog.Options{})
	result := b.Run(ctx, f, log)
	_ = log.Close()
	return result, string(buffer.Part(0, 1<<20))
}

func TestStagesOfASuccess(t *testing.T) {
	b := newBuild(t, full)
	f := &fake{}
	result, log := runBuild(t.Context(), b, f)
	require.NoError(t, result.Err)
	require.Equal(t, Finished, result.State)
	require.Equal(t, []Stage{
		PrepareScript, GetSources, RestoreCache, UserScript, AfterScript, ArchiveCache, UploadArtifactsOnSuccess, CleanupFileVariables,
	}, f.stages)
	require.Equal(t, 1, f.cleaned)
	require.Contains(t, f.scripts[AfterScript], "CI_JOB_STATUS=success")
	require.True(t, strings.HasPrefix(log, "Running with gitlab-runner 19.3.0 ("), log)
	require.Contains(t, log, "\n  on ci-01-default abcdefghi, system ID: s_0123456789ab\n")
	require.Contains(t, log, "Preparing the \"docker\" executor")
	require.Contains(t, log, "Executing \"step_script\" stage of the job script")
	require.True(t, strings.HasSuffix(log, "\x1b[32;1mJob succeeded\x1b[0;m\n"), log)
	state, stage, _ := b.Progress()
	require.Equal(t, Finished, state)
	require.Equal(t, CleanupFileVariables, stage)
}

func TestStagesOfAFailedScript(t *testing.T) {
	f := &fake{do: func(_ context.Context, stage Stage) error {
		if stage == UserScript {
			return ExitError(42)
		}
		return nil
	}}
	result, log := runBuild(t.Context(), newBuild(t, full), f)
	require.Equal(t, api.ScriptFailure, result.FailureReason)
	require.Equal(t, 42, result.ExitCode)
	require.Equal(t, []Stage{
		PrepareScript, GetSources, RestoreCache, UserScript, AfterScript, ArchiveCacheOnFailure, UploadArtifactsOnFailure, CleanupFileVariables,
	}, f.stages)
	require.Contains(t, f.scripts[AfterScript], "CI_JOB_STATUS=failed")
	require.Contains(t, log, "\x1b[31;1mERROR: Job failed: exit code 42\x1b[0;m\n")
}

func TestAfterScriptDoesNotDecide(t *testing.T) {
	fails := func(_ context.Context, stage Stage) error {
		if stage == AfterScript {
			return ExitError(1)
		}
		return nil
	}
	result, log := runBuild(t.Context(), newBuild(t, full), &fake{do: fails})
	require.NoError(t, result.Err)
	require.Contains(t, log, "after_script failed, but job will continue unaffected: exit code 1")
	b := newBuild(t, func(job *api.Job) {
		full(job)
		job.Variables = []api.Variable{{Key: "AFTER_SCRIPT_IGNORE_ERRORS", Value: "false"}}
	})
	result, _ = runBuild(t.Context(), b, &fake{do: fails})
	require.Equal(t, api.ScriptFailure, result.FailureReason)
}

func TestFailedUploadFailsTheJob(t *testing.T) {
	result, _ := runBuild(t.Context(), newBuild(t, full), &fake{do: func(_ context.Context, stage Stage) error {
		if stage == UploadArtifactsOnSuccess {
			return ExitError(1)
		}
		return nil
	}})
	require.Equal(t, api.ScriptFailure, result.FailureReason)
}

func TestErrorsOfTheExecutorAreTheRunnersFault(t *testing.T) {
	result, log := runBuild(t.Context(), newBuild(t, nil), &fake{do: func(context.Context, Stage) error {
		return errors.New("Error response from daemon: no") //nolint:staticcheck // Docker's own words.
	}})
	require.Equal(t, api.RunnerSystemFailure, result.FailureReason)
	require.Contains(t, log, "ERROR: Job failed (system failure): prepare environment: Error response from daemon: no.")
}

func TestPreparationIsTriedThreeTimes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{prepare: func() error { return errors.New("disallowed image") }}
		result, log := runBuild(t.Context(), newBuild(t, nil), f)
		require.Equal(t, 3, f.prepared)
		require.Equal(t, api.RunnerSystemFailure, result.FailureReason)
		require.Equal(t, 3, strings.Count(log, "ERROR: Preparation failed: disallowed image"))
		require.Contains(t, log, "Will be retried in 3s ...")
		require.Empty(t, f.stages)
	})
}

func TestPreparationIsNotTriedAgainWhenItCannotHelp(t *testing.T) {
	f := &fake{prepare: func() error { return &Error{Reason: api.ImagePullFailure, Err: errors.New("denied")} }}
	result, _ := runBuild(t.Context(), newBuild(t, nil), f)
	require.Equal(t, 1, f.prepared)
	require.Equal(t, api.ImagePullFailure, result.FailureReason)
}

func TestSourcesAreTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		failures := 1
		f := &fake{do: func(_ context.Context, stage Stage) error {
			if stage == GetSources && failures > 0 {
				failures--
				return ExitError(128)
			}
			return nil
		}}
		b := newBuild(t, func(job *api.Job) { job.Variables = []api.Variable{{Key: "GET_SOURCES_ATTEMPTS", Value: "2"}} })
		result, log := runBuild(t.Context(), b, f)
		require.NoError(t, result.Err)
		require.Equal(t, []Stage{PrepareScript, GetSources, ClearWorktree, GetSources}, f.stages[:4])
		require.Contains(t, log, "Retrying in 5s")
	})
}

// hang is a stage that ends only when it is cut off.
func hang(at Stage) func(context.Context, Stage) error {
	return func(ctx context.Context, stage Stage) error {
		if stage != at {
			return nil
		}
		<-ctx.Done()
		return ctx.Err()
	}
}

func TestTimeoutEndsTheJob(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{do: hang(UserScript)}
		b := newBuild(t, full)
		result, log := runBuild(t.Context(), b, f)
		require.Equal(t, TimedOut, result.State)
		require.Equal(t, api.JobExecutionTimeout, result.FailureReason)
		require.Equal(t, 10*time.Minute, b.Duration())
		require.Contains(t, log, "ERROR: Job failed: execution took longer than 10m0s seconds")
		require.NotContains(t, f.stages, AfterScript, "there is no time left for it")
		require.Equal(t, 1, f.cleaned)
	})
}

func TestScriptTimeoutLeavesTimeForTheRest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{do: hang(UserScript)}
		b := newBuild(t, func(job *api.Job) {
			full(job)
			job.Variables = []api.Variable{{Key: "RUNNER_SCRIPT_TIMEOUT", Value: "1m"}, {Key: "RUNNER_AFTER_SCRIPT_TIMEOUT", Value: "soon"}}
		})
		result, log := runBuild(t.Context(), b, f)
		require.Equal(t, api.JobExecutionTimeout, result.FailureReason)
		require.Equal(t, time.Minute, b.Duration())
		require.Contains(t, f.stages, UploadArtifactsOnFailure)
		require.Contains(t, f.scripts[AfterScript], "CI_JOB_STATUS=timedout")
		require.Contains(t, log, "Ignoring malformed RUNNER_AFTER_SCRIPT_TIMEOUT timeout: soon")
	})
}

func TestAfterScriptHasFiveMinutes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBuild(t, full)
		result, _ := runBuild(t.Context(), b, &fake{do: hang(AfterScript)})
		require.NoError(t, result.Err)
		require.Equal(t, 5*time.Minute, b.Duration())
	})
}

func TestCancelDuringTheScriptRunsAfterScript(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{do: hang(UserScript)}
		b := newBuild(t, full)
		time.AfterFunc(time.Minute, b.CancelScript)
		result, log := runBuild(t.Context(), b, f)
		require.Equal(t, Canceled, result.State)
		require.Equal(t, api.JobCanceled, result.FailureReason)
		require.Contains(t, f.scripts[AfterScript], "CI_JOB_STATUS=canceled")
		require.Contains(t, f.stages, UploadArtifactsOnFailure)
		require.Contains(t, log, "ERROR: Job failed: canceled")
	})
}

func TestCancelBeforeTheScriptEndsTheJob(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{do: hang(GetSources)}
		b := newBuild(t, full)
		time.AfterFunc(time.Minute, b.CancelScript)
		result, _ := runBuild(t.Context(), b, f)
		require.Equal(t, Canceled, result.State)
		require.Equal(t, []Stage{PrepareScript, GetSources}, f.stages)
	})
}

func TestSignalEndsTheJob(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, abort := context.WithCancelCause(t.Context())
		time.AfterFunc(time.Minute, func() {
			abort(&Error{Reason: api.RunnerInterrupted, Err: errors.New("aborted: terminated")})
		})
		f := &fake{do: hang(UserScript)}
		result, log := runBuild(ctx, newBuild(t, full), f)
		require.Equal(t, Terminated, result.State)
		require.Equal(t, api.RunnerInterrupted, result.FailureReason)
		require.Contains(t, log, "ERROR: Job failed (system failure): aborted: terminated")
		require.NotContains(t, f.stages, AfterScript)
		require.Equal(t, 1, f.cleaned)
	})
}

func TestABuildThatDoesNotLetGoIsLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		f := &fake{do: func(_ context.Context, stage Stage) error {
			if stage == UserScript {
				<-release
			}
			return nil
		}}
		b := newBuild(t, nil)
		result, log := runBuild(t.Context(), b, f)
		require.Equal(t, TimedOut, result.State)
		require.Equal(t, 15*time.Minute, b.Duration())
		require.Contains(t, log, "Timed out waiting for the build to finish")
		close(release)
	})
}

func TestPanicFailsOnlyTheJob(t *testing.T) {
	result, log := runBuild(t.Context(), newBuild(t, nil), &fake{do: func(context.Context, Stage) error { panic("oh") }})
	require.Equal(t, api.RunnerSystemFailure, result.FailureReason)
	require.Contains(t, log, "panic: oh")
}
