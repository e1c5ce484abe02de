// Package trace brings a job's log and state to GitLab while the job runs.
package trace

import (
	"context"
	"sync"
	"time"

	"gitlab-runner-proxmox/lab/internal/runner/api"
	"gitlab-runner-proxmox/lab/internal/runner/joblog"
)

const (
	defaultInterval = 3 * time.Second
	longestInterval = 15 * time.Minute
	keepAlive       = 30 * time.Second
	largestPatch    = 1 << 20
)

// Client is the part of the API that a sender needs.
type Client interface {
	UpdateJob(context.Context, *api.Server, api.Info, api.JobRef, api.Update) (api.UpdateResult, api.Wishes)
	PatchTrace(context.Context, *api.Server, api.JobRef, []byte, int, bool) (api.PatchResult, int, api.Wishes)
}

// Options of a sender.
type Options struct {
	Client Client
	Server *api.Server
	Info   api.Info
	Job    api.JobRef
	// Debug says that the log may hold secrets (CI_DEBUG_TRACE).
	Debug bool
	// FinalUpdates is how often the end of the job is reported at most.
	FinalUpdates int
	// Interval between patches until GitLab says another; 3 s by default.
	Interval time.Duration
	// KeepAlive is when a job without output is reported as running again; 30 s by default.
	KeepAlive time.Duration
	// Abort ends the job at once, Cancel only its script. Each is called once at most.
	Abort  func()
	Cancel func()
}

// Sender sends what a log holds, piece by piece.
type Sender struct {
	Options
	buffer *joblog.Buffer

	stop chan struct{}
	done chan struct{}

	mu        sync.Mutex
	sent      int
	sentAt    time.Time
	aborted   bool
	cancelled bool
}

// New returns a sender; Start sets it going.
func New(buffer *joblog.Buffer, options Options) *Sender {
	if options.Interval <= 0 {
		options.Interval = defaultInterval
	}
	if options.KeepAlive <= 0 {
		options.KeepAlive = keepAlive
	}
	return &Sender{
		Options: options, buffer: buffer, sentAt: time.Now(),
		stop: make(chan struct{}), done: make(chan struct{}),
	}
}

// Start sends in the background until Finish.
func (s *Sender) Start() {
	go func() {
		defer close(s.done)
		for {
			select {
			case <-s.stop:
				return
			case <-time.After(s.Interval):
			}
			if !s.step() {
				return
			}
		}
	}()
}

// step sends what is new. It returns false when GitLab has ended the job.
func (s *Sender) step() bool {
	if s.buffer.Size() != s.sent {
		return s.patch() != api.PatchAborts
	}
	if time.Since(s.sentAt) < s.KeepAlive {
		return true
	}
	result, wishes := s.Client.UpdateJob(context.Background(), s.Server, s.Info, s.Job,
		api.Update{State: api.Running, Output: api.Output{Checksum: s.buffer.Checksum()}})
	s.heed(wishes)
	if result == api.UpdateAborts {
		s.abort()
		return false
	}
	if result == api.UpdateAccepted {
		s.sentAt = time.Now()
	}
	return true
}

func (s *Sender) patch() api.PatchResult {
	content := s.buffer.Part(s.sent, largestPatch)
	result, offset, wishes := s.Client.PatchTrace(context.Background(), s.Server, s.Job, content, s.sent, s.Debug)
	s.heed(wishes)
	switch result {
	case api.PatchAccepted, api.PatchElsewhere:
		s.sent, s.sentAt = min(offset, s.buffer.Size()), time.Now()
	case api.PatchAborts:
		s.abort()
	}
	return result
}

func (s *Sender) heed(wishes api.Wishes) {
	if wishes.Interval > 0 {
		s.Interval = min(wishes.Interval, longestInterval)
	}
	if !wishes.CancelGracefully {
		return
	}
	s.mu.Lock()
	first := !s.cancelled
	s.cancelled = true
	s.mu.Unlock()
	if first && s.Cancel != nil {
		s.Cancel()
	}
}

func (s *Sender) abort() {
	s.mu.Lock()
	first := !s.aborted
	s.aborted = true
	s.mu.Unlock()
	if first && s.Abort != nil {
		s.Abort()
	}
}

// Finish sends the rest of the log and reports how the job ended. The result says whether GitLab
// took it.
func (s *Sender) Finish(update api.Update) api.UpdateResult {
	close(s.stop)
	<-s.done
	interval := defaultInterval
	if s.Interval < interval {
		interval = s.Interval
	}
	update.Output = api.Output{Checksum: s.buffer.Checksum(), Bytesize: s.buffer.Size()}
	result := api.UpdateFailed
	for range s.FinalUpdates {
		if s.rest(interval) {
			return api.UpdateAborts
		}
		var wishes api.Wishes
		result, wishes = s.Client.UpdateJob(context.Background(), s.Server, s.Info, s.Job, update)
		switch result {
		case api.UpdateAccepted, api.UpdateAborts, api.UpdateUnknownJob:
			return result
		case api.UpdateRefusesTrace:
			s.sent = 0
		}
		pause := interval
		if wishes.Interval > 0 {
			pause = min(wishes.Interval, longestInterval)
		}
		time.Sleep(pause)
	}
	return result
}

// rest sends all of the log that GitLab does not have, and returns whether the job is no longer
// ours.
func (s *Sender) rest(interval time.Duration) bool {
	for failures := 0; s.buffer.Size() != s.sent && failures < s.FinalUpdates; {
		switch s.patch() {
		case api.PatchAborts:
			return true
		case api.PatchUnknownJob:
			return false
		case api.PatchFailed, api.PatchElsewhere:
			failures++
			time.Sleep(interval)
		}
	}
	return false
}
