// Package manager is `gitlab-runner run`: it polls for jobs, runs them side by side, follows its
// configuration file, and ends in an orderly way.
package manager

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"gitlab-runner-proxmox/lab/internal/runner/api"
	"gitlab-runner-proxmox/lab/internal/runner/build"
	"gitlab-runner-proxmox/lab/internal/runner/config"
	"gitlab-runner-proxmox/lab/internal/runner/joblog"
	"gitlab-runner-proxmox/lab/internal/runner/logging"
	"gitlab-runner-proxmox/lab/internal/runner/metrics"
)

// reloadInterval is how often the file's age is looked at.
const reloadInterval = 3 * time.Second

// Options of a manager.
type Options struct {
	ConfigFile string
	// ListenAddress of the metrics, before that of the file.
	ListenAddress string
	// User is who jobs are said to run as; the Docker executor does not need one.
	User string
	Log  *logging.Logger
	// Configure sets up logging as a loaded file asks.
	Configure func(*config.Config) error
	// NewExecutor makes what runs a build.
	NewExecutor func(*build.Build, *joblog.Log) build.Executor
	// ReloadInterval is 3 s unless set.
	ReloadInterval time.Duration
}

// Manager runs until it is told to stop.
type Manager struct {
	Options
	config   atomic.Pointer[config.Loaded]
	systemID string
	hostname string
	metrics  *metrics.Metrics
	client   *api.Client
	slots    *slots
	health   *health
	feeds    chan *config.Runner
	// polling ends with the first signal to stop, aborting with the one that ends jobs.
	polling  context.Context
	aborting context.Context
	abort    context.CancelCauseFunc
	workers  sync.WaitGroup
	// retire takes one worker out of service.
	retire chan struct{}
	count  int
	// rotated are the tokens that were tried to be traded.
	rotated map[string]bool
}

// New loads the configuration. A file that cannot be loaded is an error; one that is not there is
// an empty configuration.
func New(options Options) (*Manager, error) {
	if options.ReloadInterval == 0 {
		options.ReloadInterval = reloadInterval
	}
	m := &Manager{
		Options: options, metrics: metrics.New(), health: newHealth(options.Log),
		feeds: make(chan *config.Runner), retire: make(chan struct{}), rotated: map[string]bool{},
	}
	m.Log.OnMessage(m.metrics.Logged)
	m.client = api.New(m.metrics)
	m.hostname, _ = os.Hostname()
	id, err := config.SystemID(options.ConfigFile)
	if err != nil {
		m.log().WithError(err).Warning("Couldn't save new system ID on state file. In order to reliably identify this runner in jobs with a known identifier, please ensure there is a text file at the location specified in `state_file` with the contents of `system_id`. Example: echo \"" + id + "\" > \"" + filepath.Join(filepath.Dir(options.ConfigFile), config.SystemIDFile) + "\"")
	}
	m.systemID = id
	m.slots = newSlots(id)
	m.metrics.Registry.MustRegister(m.slots, m)
	return m, m.load()
}

func (m *Manager) log() *logging.Logger {
	running, most := 0, 0
	if m.slots != nil {
		running = len(m.slots.running())
	}
	if loaded := m.config.Load(); loaded != nil {
		most = loaded.Concurrent
	}
	return m.Log.With(logging.Fields{"builds": running, "max_builds": most})
}

func (m *Manager) load() error {
	loaded, err := config.Load(m.ConfigFile)
	if errors.Is(err, os.ErrNotExist) {
		loaded, err = config.Default(), nil
	}
	if err == nil {
		err = m.Configure(loaded.Config)
	}
	if err != nil {
		m.metrics.ConfigLoadErrors.Inc()
		return err
	}
	m.config.Store(loaded)
	m.metrics.ConfigLoaded.Inc()
	m.client.SetConnectionMaxAge(loaded.ConnectionMaxAge)
	m.health.forget()
	for _, problem := range append(append([]config.Problem{}, loaded.Unknown...), loaded.Violations...) {
		m.log().Warning("There might be a problem with your config: " + problem.String())
	}
	m.slots.show(loaded.Runners)
	for _, runner := range loaded.Runners {
		m.metrics.Runner(runner.ShortToken(), runner.Name, m.systemID)
	}
	m.log().Info("Configuration loaded")
	m.warnOfBottlenecks(loaded.Config)
	return nil
}

// warnOfBottlenecks says where long polls would delay jobs.
func (m *Manager) warnOfBottlenecks(loaded *config.Config) {
	if len(loaded.Runners) == 0 {
		return
	}
	var issues []string
	if loaded.Concurrent < len(loaded.Runners) {
		issues = append(issues, fmt.Sprintf(
			"Worker starvation bottleneck: 'concurrent' setting (%d) is less than number of runners (%d)",
			loaded.Concurrent, len(loaded.Runners)))
	}
	low := 0
	for _, runner := range loaded.Runners {
		if runner.Requests() == 1 {
			low++
		}
	}
	if low > 0 {
		issues = append(issues, fmt.Sprintf(
			"Request bottleneck: %d runners have request_concurrency=1, causing job delays during long polling", low))
	}
	if len(issues) > 0 {
		text := "CONFIGURATION: Long polling issues detected.\nIssues found:\n"
		for _, issue := range issues {
			text += "  - " + issue + "\n"
		}
		m.log().Warning(text)
	}
}

// checkAge loads the file when it is newer than what was loaded.
func (m *Manager) checkAge() {
	info, err := os.Stat(m.ConfigFile)
	loaded := m.config.Load()
	if err != nil || !loaded.ModTime.Before(info.ModTime()) {
		return
	}
	if err := m.load(); err != nil {
		m.log().Error("Failed to load config", err.Error())
		// The same file is not tried again.
		kept := *loaded
		kept.ModTime = info.ModTime()
		m.config.Store(&kept)
	}
}

// follow keeps configuration and workers as the file wants them, until polling ends.
func (m *Manager) follow(reload <-chan os.Signal) {
	for m.scale() {
		select {
		case <-m.polling.Done():
			return
		case <-time.After(m.ReloadInterval):
			m.checkAge()
			m.rotate(time.Now())
		case <-reload:
			if err := m.load(); err != nil {
				m.log().Error("Failed to load config", err.Error())
			}
		}
	}
}

// scale brings the number of workers to `concurrent`. It returns false when polling has ended.
func (m *Manager) scale() bool {
	wanted := m.config.Load().Concurrent
	if wanted < 1 {
		m.log().Fatal(fmt.Sprintf("Current configuration 'concurrent = %d' means that no jobs will be processed, see "+
			"https://docs.gitlab.com/runner/configuration/advanced-configuration.html#the-global-section", wanted))
	}
	for m.count < wanted {
		m.count++
		m.metrics.SlotOperations.WithLabelValues(metrics.SlotStarted).Inc()
		m.workers.Go(m.work)
	}
	for m.count > wanted {
		select {
		case m.retire <- struct{}{}:
			m.count--
		case <-m.polling.Done():
			return false
		}
	}
	m.metrics.Slots.Set(float64(m.count))
	return true
}

// feed offers the runners to the workers in turn, over check_interval.
func (m *Manager) feed() {
	for {
		loaded := m.config.Load()
		pause := loaded.Interval()
		if len(loaded.Runners) > 0 {
			pause /= time.Duration(len(loaded.Runners))
		}
		for _, runner := range loaded.Runners {
			labels := []string{runner.ShortToken(), runner.Name, m.systemID}
			if m.health.allows(runner) {
				m.metrics.Feeds.WithLabelValues(labels...).Inc()
				select {
				case m.feeds <- runner:
				case <-m.polling.Done():
					return
				}
			} else {
				m.metrics.FeedFailures.WithLabelValues(labels...).Inc()
			}
			if !m.pause(pause) {
				return
			}
		}
		if len(loaded.Runners) == 0 && !m.pause(pause) {
			return
		}
	}
}

func (m *Manager) pause(length time.Duration) bool {
	select {
	case <-m.polling.Done():
		return false
	case <-time.After(length):
		return true
	}
}

// work takes runners one after another.
func (m *Manager) work() {
	defer m.metrics.SlotOperations.WithLabelValues(metrics.SlotStopped).Inc()
	for {
		select {
		case runner := <-m.feeds:
			m.process(runner)
		case <-m.retire:
			return
		case <-m.polling.Done():
			return
		}
	}
}
