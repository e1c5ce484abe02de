package manager

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"gitlab-runner-proxmox/lab/internal/runner/api"
	"gitlab-runner-proxmox/lab/internal/runner/build"
	"gitlab-runner-proxmox/lab/internal/runner/logging"
	"gitlab-runner-proxmox/lab/internal/runner/metrics"
)

// Run polls and works until a signal: SIGQUIT lets running jobs end, SIGTERM and SIGINT abort them.
// The error says that jobs were left behind.
func (m *Manager) Run() error {
	stops := make(chan os.Signal, 4)
	signal.Notify(stops, syscall.SIGQUIT, syscall.SIGTERM, os.Interrupt)
	defer signal.Stop(stops)
	reloads := make(chan os.Signal, 1)
	signal.Notify(reloads, syscall.SIGHUP)
	defer signal.Stop(reloads)
	return m.untilStopped(stops, reloads)
}

func (m *Manager) untilStopped(stops, reloads <-chan os.Signal) error {
	var stopPolling context.CancelFunc
	m.polling, stopPolling = context.WithCancel(context.Background())
	defer stopPolling()
	m.aborting, m.abort = context.WithCancelCause(context.Background())
	defer m.abort(nil)
	if err := m.serve(); err != nil {
		return err
	}
	if m.config.Load().SessionServer == nil {
		m.log().Info("[session_server].listen_address not defined, session endpoints disabled")
	} else {
		m.log().Warning("[session_server] is not supported by this runner, session endpoints disabled")
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		go m.feed()
		m.follow(reloads)
		m.workers.Wait()
		m.metrics.Slots.Set(0)
		m.log().Info("All workers stopped.")
	}()
	m.metrics.SetState(metrics.Running)
	stop := <-stops
	m.log().With(logging.Fields{"stop-signal": stop.String()}).Warning("[runWait] received stop signal")
	stopPolling()
	for stop == syscall.SIGQUIT {
		m.metrics.SetState(metrics.GracefulShutdown)
		m.log().With(logging.Fields{"StopSignal": stop.String()}).
			Warning("Starting graceful shutdown, waiting for builds to finish")
		select {
		case stop = <-stops:
			m.log().With(logging.Fields{"stop-signal": stop.String()}).
				Warning("[handleGracefulShutdown] received stop signal")
		case <-done:
			m.log().Info("Can exit now!")
			return nil
		}
	}
	return m.shutDown(stop, stops, done)
}

// shutDown aborts what runs, and waits for shutdown_timeout, or for a second signal.
func (m *Manager) shutDown(stop os.Signal, stops <-chan os.Signal, done <-chan struct{}) error {
	m.log().WithError(fmt.Errorf("received stop signal: %v", stop)).Warning(
		`Graceful shutdown not finished properly. To gracefully clean up running plugins please use SIGQUIT (ctrl-\) instead of SIGINT (ctrl-c)`)
	m.metrics.SetState(metrics.ForcefulShutdown)
	limit := m.config.Load().Shutdown()
	m.log().With(logging.Fields{"shutdown-timeout": limit.String(), "StopSignal": stop.String()}).
		Warning("Starting forceful shutdown")
	m.abort(&build.Error{Reason: api.RunnerInterrupted, Err: fmt.Errorf("aborted: %v", stop)})
	var err error
	select {
	case stop = <-stops:
		err = fmt.Errorf("forced exit with stop signal: %v", stop)
	case <-time.After(limit):
		err = fmt.Errorf("shutdown timed out")
	case <-done:
		m.log().Info("Can exit now!")
		return nil
	}
	m.log().WithError(err).Warning("Forceful shutdown not finished properly")
	return err
}
