package manager

import (
	"math"
	"sync"

	"github.com/prometheus/client_golang/prometheus"

	"gitlab-runner-proxmox/lab/internal/runner/build"
	"gitlab-runner-proxmox/lab/internal/runner/config"
)

const (
	concurrencyGrowth = 1.1
	concurrencyDecay  = 0.95
)

// counter is what one runner has under way.
type counter struct {
	name     string
	builds   int
	requests int
	hard     int
	adaptive float64
	used     int
	exceeded int
}

// slots know which builds run, and how many more may. It is a collector of their metrics.
type slots struct {
	systemID string

	mu       sync.Mutex
	counters map[string]*counter
	builds   []*build.Build
}

func newSlots(systemID string) *slots {
	return &slots{systemID: systemID, counters: map[string]*counter{}}
}

// of is called with the lock held.
func (s *slots) of(runner *config.Runner) *counter {
	c := s.counters[runner.Token]
	if c == nil {
		c = &counter{}
		s.counters[runner.Token] = c
	}
	c.name = runner.Name
	return c
}

// show makes a runner visible in metrics before its first job.
func (s *slots) show(runners []*config.Runner) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, runner := range runners {
		s.of(runner)
	}
}

// acquireBuild takes one of the runner's `limit`.
func (s *slots) acquireBuild(runner *config.Runner) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.of(runner)
	if runner.Limit > 0 && c.builds >= runner.Limit {
		return false
	}
	c.builds++
	return true
}

func (s *slots) releaseBuild(runner *config.Runner) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.of(runner).builds--
}

// acquireRequest takes one of the runner's `request_concurrency`, which adapts itself to how many
// requests bring a job.
func (s *slots) acquireRequest(runner *config.Runner) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.of(runner)
	c.hard = runner.Requests()
	c.used = c.hard
	if build.Flag(runner.FeatureFlags, build.FlagAdaptiveConcurrency) {
		c.used = min(max(1, int(math.Ceil(c.adaptive))), c.hard)
	}
	if c.requests >= c.used {
		c.exceeded++
		return false
	}
	c.requests++
	return true
}

func (s *slots) releaseRequest(runner *config.Runner, hadJob bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.of(runner)
	if build.Flag(runner.FeatureFlags, build.FlagAdaptiveConcurrency) {
		factor := concurrencyDecay
		if hadJob {
			factor = concurrencyGrowth
		}
		c.adaptive = min(max(1, c.adaptive*factor), float64(runner.Requests()))
	}
	c.requests--
}

// add gives a build the lowest numbers that are free, and lists it.
func (s *slots) add(added *build.Build) {
	s.mu.Lock()
	defer s.mu.Unlock()
	taken, takenInProject := map[int]bool{}, map[int]bool{}
	for _, other := range s.builds {
		if other.Runner.Token != added.Runner.Token {
			continue
		}
		taken[other.RunnerID] = true
		if other.Job.JobInfo.ProjectID == added.Job.JobInfo.ProjectID {
			takenInProject[other.ProjectRunnerID] = true
		}
	}
	for taken[added.RunnerID] {
		added.RunnerID++
	}
	for takenInProject[added.ProjectRunnerID] {
		added.ProjectRunnerID++
	}
	s.builds = append(s.builds, added)
}

func (s *slots) remove(removed *build.Build) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for index, other := range s.builds {
		if other == removed {
			s.builds = append(s.builds[:index:index], s.builds[index+1:]...)
			return
		}
	}
}

// running are the builds at this moment.
func (s *slots) running() []*build.Build {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]*build.Build(nil), s.builds...)
}

var (
	requestLabels = []string{"runner", "system_id"}

	jobsDesc = prometheus.NewDesc("gitlab_runner_jobs", "The current number of running builds.",
		[]string{"runner", "runner_name", "system_id", "state", "stage", "executor_stage"}, nil)
	requestsDesc = prometheus.NewDesc("gitlab_runner_request_concurrency",
		"The current number of concurrent requests for a new job", requestLabels, nil)
	exceededDesc = prometheus.NewDesc("gitlab_runner_request_concurrency_exceeded_total",
		"Count of excess requests above the configured request_concurrency limit", requestLabels, nil)
	hardDesc = prometheus.NewDesc("gitlab_runner_request_concurrency_hard_limit",
		"Configured request_concurrency limit", requestLabels, nil)
	adaptiveDesc = prometheus.NewDesc("gitlab_runner_request_concurrency_adaptive_limit",
		"Computed adaptive request concurrency limit", requestLabels, nil)
	usedDesc = prometheus.NewDesc("gitlab_runner_request_concurrency_used_limit",
		"Used request concurrency limit", requestLabels, nil)
)

// Describe implements prometheus.Collector.
func (s *slots) Describe(out chan<- *prometheus.Desc) {
	for _, desc := range []*prometheus.Desc{jobsDesc, requestsDesc, exceededDesc, hardDesc, adaptiveDesc, usedDesc} {
		out <- desc
	}
}

// Collect implements prometheus.Collector.
func (s *slots) Collect(out chan<- prometheus.Metric) {
	type place struct{ runner, name, state, stage, executorStage string }
	counts := map[place]int{}
	s.mu.Lock()
	defer s.mu.Unlock()
	for token, c := range s.counters {
		short := config.ShortToken(token)
		// Always there, so that nobody takes an idle runner for one without metrics.
		counts[place{short, c.name, "idle", "idle", "idle"}] = 0
		for desc, value := range map[*prometheus.Desc]float64{
			requestsDesc: float64(c.requests), hardDesc: float64(c.hard),
			adaptiveDesc: c.adaptive, usedDesc: float64(c.used),
		} {
			out <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, value, short, s.systemID)
		}
		out <- prometheus.MustNewConstMetric(exceededDesc, prometheus.CounterValue, float64(c.exceeded), short, s.systemID)
	}
	for _, running := range s.builds {
		state, stage, executorStage := running.Progress()
		counts[place{running.Server.Short, running.Runner.Name, string(state), string(stage), executorStage}]++
	}
	for at, count := range counts {
		out <- prometheus.MustNewConstMetric(jobsDesc, prometheus.GaugeValue, float64(count),
			at.runner, at.name, s.systemID, at.state, at.stage, at.executorStage)
	}
}
