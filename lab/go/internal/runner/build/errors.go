package build

import (
	"context"
	"errors"
	"fmt"

	"gitlab-runner-proxmox/lab/internal/runner/api"
)

// ErrCanceled ends a build that someone has canceled in GitLab.
var ErrCanceled = errors.New("canceled")

// errScriptTimeout ends a script whose own limit is over.
var errScriptTimeout = errors.New("job script timeout")

// Error is an end of a build that has a reason of its own. Any other error is the runner's fault.
type Error struct {
	Reason   api.FailureReason
	ExitCode int
	Err      error
}

func (e *Error) Error() string {
	if e.Err == nil {
		return "error"
	}
	return e.Err.Error()
}

// Unwrap gives what is behind the error.
func (e *Error) Unwrap() error { return e.Err }

// ExitError is a script that ended with a status other than 0.
func ExitError(code int) error {
	return &Error{Reason: api.ScriptFailure, ExitCode: code, Err: fmt.Errorf("exit code %d", code)}
}

// outcome turns an error into what is reported of it.
func (b *Build) outcome(err error) (State, error) {
	var known *Error
	switch {
	case err == nil:
		return Finished, nil
	case errors.As(err, &known) && known.Reason == api.RunnerInterrupted:
		return Terminated, err
	case errors.Is(err, ErrCanceled), errors.Is(err, context.Canceled):
		return Canceled, &Error{Reason: api.JobCanceled, Err: ErrCanceled}
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, errScriptTimeout):
		return TimedOut, &Error{
			Reason: api.JobExecutionTimeout,
			Err:    fmt.Errorf("execution took longer than %v seconds", b.Timeout()),
		}
	}
	return Failed, err
}
