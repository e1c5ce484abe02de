package api

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// JobRef is a job that this runner has, with the job's own token.
type JobRef struct {
	ID    int64
	Token string
}

// Output describes the whole log of a job.
type Output struct {
	Checksum string `json:"checksum,omitempty"`
	Bytesize int    `json:"bytesize,omitempty"`
}

// Update is the state of a job as the runner reports it.
type Update struct {
	State         State
	FailureReason FailureReason
	ExitCode      int
	Output        Output
}

type updateBody struct {
	Info          Info          `json:"info"`
	Token         string        `json:"token"`
	State         State         `json:"state,omitempty"`
	FailureReason FailureReason `json:"failure_reason,omitempty"`
	Checksum      string        `json:"checksum,omitempty"`
	Output        Output        `json:"output"`
	ExitCode      int           `json:"exit_code,omitempty"`
}

// UpdateResult is GitLab's view after an update.
type UpdateResult int

// Results of an update.
const (
	UpdateAccepted UpdateResult = iota
	// UpdatePending: GitLab has not worked it in yet, ask again.
	UpdatePending
	// UpdateRefusesTrace: the log that GitLab has is not the one that was described.
	UpdateRefusesTrace
	// UpdateAborts: the job is no longer this runner's.
	UpdateAborts
	// UpdateUnknownJob: GitLab does not know the job.
	UpdateUnknownJob
	UpdateFailed
)

// Wishes is what GitLab says besides, in headers.
type Wishes struct {
	// CancelGracefully: end the script, but let after_script run.
	CancelGracefully bool
	// Interval between patches of the log; 0 for no wish.
	Interval time.Duration
	// Text describes the answer for the log.
	Text string
}

func wishesOf(answer *response) Wishes {
	seconds, err := strconv.Atoi(answer.header.Get("X-GitLab-Trace-Update-Interval"))
	if err != nil || seconds < 0 {
		seconds = 0
	}
	return Wishes{
		CancelGracefully: answer.header.Get("Job-Status") == "canceling",
		Interval:         time.Duration(seconds) * time.Second,
		Text:             answer.text,
	}
}

// ended tells whether GitLab has ended the job itself.
func ended(answer *response) bool {
	switch answer.header.Get("Job-Status") {
	case "canceled", "failed":
		return true
	}
	return answer.status == http.StatusForbidden
}

// UpdateJob reports the state of a job.
func (c *Client) UpdateJob(ctx context.Context, server *Server, info Info, job JobRef, update Update) (UpdateResult, Wishes) {
	answer := c.do(ctx, server, request{
		method: http.MethodPut, path: fmt.Sprintf("jobs/%d", job.ID), endpoint: UpdateJobs,
		header: http.Header{"Job-Token": {job.Token}},
		body: updateBody{
			Info: info, Token: job.Token, State: update.State, FailureReason: update.FailureReason,
			Checksum: update.Output.Checksum, Output: update.Output, ExitCode: update.ExitCode,
		},
	})
	wishes := wishesOf(answer)
	final := update.State == Success || update.State == Failed
	switch {
	// A job that has just been reported as failed has ended, but not by GitLab's own will.
	case final && answer.status == http.StatusOK:
		return UpdateAccepted, wishes
	case ended(answer):
		return UpdateAborts, wishes
	case answer.status == http.StatusOK:
		return UpdateAccepted, wishes
	case answer.status == http.StatusAccepted:
		return UpdatePending, wishes
	case answer.status == http.StatusPreconditionFailed:
		return UpdateRefusesTrace, wishes
	case answer.status == http.StatusNotFound:
		return UpdateUnknownJob, wishes
	}
	return UpdateFailed, wishes
}

// PatchResult is GitLab's view after a patch of the log.
type PatchResult int

// Results of a patch.
const (
	PatchAccepted PatchResult = iota
	// PatchElsewhere: GitLab has another length; go on from the offset that it gives.
	PatchElsewhere
	PatchAborts
	PatchUnknownJob
	PatchFailed
)

// PatchTrace adds a piece to the log, and returns where the next piece starts.
func (c *Client) PatchTrace(ctx context.Context, server *Server, job JobRef, content []byte, start int, debug bool) (PatchResult, int, Wishes) {
	end := start + len(content)
	answer := c.do(ctx, server, request{
		method: http.MethodPatch, endpoint: PatchTraces,
		path: fmt.Sprintf("jobs/%d/trace?debug_trace=%t", job.ID, debug),
		header: http.Header{
			"Job-Token": {job.Token}, "Content-Type": {"text/plain"},
			"Content-Range": {fmt.Sprintf("%d-%d", start, end-1)},
		},
		raw: content,
	})
	wishes := wishesOf(answer)
	switch {
	case ended(answer):
		return PatchAborts, start, wishes
	case answer.status == http.StatusAccepted:
		return PatchAccepted, end, wishes
	case answer.status == http.StatusNotFound:
		return PatchUnknownJob, start, wishes
	case answer.status == http.StatusRequestedRangeNotSatisfiable:
		if offset, ok := rangeEnd(answer.header.Get("Range")); ok {
			return PatchElsewhere, offset, wishes
		}
	}
	return PatchFailed, start, wishes
}

func rangeEnd(text string) (int, bool) {
	_, end, found := strings.Cut(text, "-")
	offset, err := strconv.Atoi(end)
	return offset, found && err == nil && offset >= 0
}
