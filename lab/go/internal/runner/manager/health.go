package manager

import (
	"fmt"
	"sync"
	"time"

	"gitlab-runner-proxmox/lab/internal/runner/config"
	"gitlab-runner-proxmox/lab/internal/runner/logging"
)

// health leaves a GitLab alone for a while that has refused a runner several times.
type health struct {
	log *logging.Logger
	now func() time.Time

	mu     sync.Mutex
	states map[string]*healthState
}

type healthState struct {
	failures int
	since    time.Time
}

func newHealth(log *logging.Logger) *health {
	return &health{log: log, now: time.Now, states: map[string]*healthState{}}
}

func uniqueID(runner *config.Runner) string { return runner.URL + runner.ShortToken() }

// of is called with the lock held.
func (h *health) of(runner *config.Runner) *healthState {
	state := h.states[uniqueID(runner)]
	if state == nil {
		state = &healthState{since: h.now()}
		h.states[uniqueID(runner)] = state
	}
	return state
}

// forget starts anew, as a loaded configuration does.
func (h *health) forget() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.states = map[string]*healthState{}
}

// allows tells whether a runner may poll.
func (h *health) allows(runner *config.Runner) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	state := h.of(runner)
	if state.failures < runner.RefusalLimit() {
		return true
	}
	if h.now().Sub(state.since) <= runner.UnhealthyPause() {
		return false
	}
	h.log.With(logging.Fields{
		"unhealthy_requests": state.failures, "unhealthy_requests_limit": runner.RefusalLimit(),
		"unhealthy_interval": runner.UnhealthyPause().String(),
	}).Warning(fmt.Sprintf("Runner %q is not healthy, but check for a new job will be forced!", uniqueID(runner)))
	state.failures, state.since = 0, h.now()
	return true
}

// mark notes how a poll went, and returns whether the runner is left alone from now on.
func (h *health) mark(runner *config.Runner, healthy bool) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	state := h.of(runner)
	if healthy {
		state.failures, state.since = 0, h.now()
		return false
	}
	state.failures++
	if state.failures < runner.RefusalLimit() {
		return false
	}
	h.log.With(logging.Fields{
		"unhealthy_requests": state.failures, "unhealthy_requests_limit": runner.RefusalLimit(),
	}).Error(fmt.Sprintf("Runner %q is unhealthy and will be disabled for %v seconds!", uniqueID(runner), runner.UnhealthyPause()))
	return true
}
