package manager

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"

	"gitlab-runner-proxmox/lab/internal/runner/api"
	"gitlab-runner-proxmox/lab/internal/runner/build"
	"gitlab-runner-proxmox/lab/internal/runner/config"
	"gitlab-runner-proxmox/lab/internal/runner/joblog"
	"gitlab-runner-proxmox/lab/internal/runner/logging"
)

const patience = 15 * time.Second

// gitlab hands out jobs, and keeps how they went.
type gitlab struct {
	*httptest.Server
	mu     sync.Mutex
	queue  []int64
	status int
	polls  int
	logs   map[int64][]byte
	ends   map[int64]map[string]any
	begun  map[int64]bool
	jobs   map[int64]string
}

func newGitLab(t *testing.T, jobs ...int64) *gitlab {
	t.Helper()
	g := &gitlab{queue: jobs, status: 204, logs: map[int64][]byte{}, ends: map[int64]map[string]any{}, begun: map[int64]bool{}, jobs: map[int64]string{}}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /api/v4/jobs/request", g.request)
	mux.HandleFunc("PUT /api/v4/jobs/{id}", g.update)
	mux.HandleFunc("PATCH /api/v4/jobs/{id}/trace", g.patch)
	g.Server = httptest.NewServer(mux)
	t.Cleanup(g.Close)
	return g
}

func (g *gitlab) request(writer http.ResponseWriter, _ *http.Request) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.polls++
	if g.status != 204 || len(g.queue) == 0 {
		writer.WriteHeader(g.status)
		return
	}
	id := g.queue[0]
	g.queue = g.queue[1:]
	writer.Header().Set("Content-Type", "application/json")
	writer.WriteHeader(201)
	_, _ = fmt.Fprintf(writer, `{"id":%d,"token":"glcbt-%d","job_info":{"project_id":3,"project_full_path":"group/app",
		"time_in_queue_seconds":4,"project_jobs_running_on_instance_runners_count":"1","queue_size":2,"queue_depth":1},
		"variables":[{"key":"GIT_STRATEGY","value":"none"},{"key":"CI_JOB_URL","value":"https://gitlab.example.org/-/jobs/%d"}],
		"steps":[{"name":"script","script":["%s"]}]}`, id, id, id, g.jobs[id])
}

func idOf(request *http.Request) (id int64) {
	_, _ = fmt.Sscan(request.PathValue("id"), &id)
	return id
}

func (g *gitlab) update(writer http.ResponseWriter, request *http.Request) {
	body := map[string]any{}
	_ = json.NewDecoder(request.Body).Decode(&body)
	g.mu.Lock()
	defer g.mu.Unlock()
	id := idOf(request)
	if body["state"] == "running" {
		g.begun[id] = true
		return
	}
	output := body["output"].(map[string]any)
	if output["checksum"] != fmt.Sprintf("crc32:%08x", crc32.ChecksumIEEE(g.logs[id])) {
		writer.WriteHeader(412)
		return
	}
	g.ends[id] = body
}

func (g *gitlab) patch(writer http.ResponseWriter, request *http.Request) {
	data, _ := io.ReadAll(request.Body)
	g.mu.Lock()
	defer g.mu.Unlock()
	id := idOf(request)
	g.logs[id] = append(g.logs[id], data...)
	writer.WriteHeader(202)
}

func (g *gitlab) ended(id int64) bool { return g.end(id) != nil }

func (g *gitlab) end(id int64) map[string]any {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.ends[id]
}

func (g *gitlab) set(status int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.status = status
}

func (g *gitlab) polled() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.polls
}

// scripted runs the words of a job's script: `hang` until it is cut off, `wait` until it is let go.
type scripted struct {
	b   *build.Build
	log *joblog.Log
	let chan struct{}
}

func (s *scripted) Prepare(context.Context) error { return nil }
func (s *scripted) Cleanup()                      {}
func (s *scripted) Run(ctx context.Context, stage build.Stage, _ string) error {
	if stage != build.UserScript {
		return nil
	}
	s.log.Println("working")
	switch s.b.Step("script").Script[0] {
	case "fail":
		return build.ExitError(3)
	case "hang":
		<-ctx.Done()
	case "wait":
		select {
		case <-ctx.Done():
		case <-s.let:
		}
	}
	return nil
}

// process is a manager that runs, with the signals of a process.
type process struct {
	*Manager
	file    string
	stops   chan os.Signal
	reloads chan os.Signal
	let     chan struct{}
	done    chan error
	out     *safeBuffer
}

type safeBuffer struct {
	mu sync.Mutex
	bytes.Buffer
}

func (b *safeBuffer) Write(data []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.Buffer.Write(data)
}

func (b *safeBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.Buffer.String()
}

func settings(url, more string) string {
	return "concurrent = 2\ncheck_interval = 1\nshutdown_timeout = 1\n" + more +
		"\n[[runners]]\nname = \"ci-01\"\nurl = \"" + url + "\"\ntoken = \"glrt-abcdefghijkl\"\nexecutor = \"docker\"\nrequest_concurrency = 2\n[runners.docker]\n"
}

func start(t *testing.T, text string) *process {
	t.Helper()
	p := &process{
		file: filepath.Join(t.TempDir(), "config.toml"), stops: make(chan os.Signal, 4), reloads: make(chan os.Signal, 1),
		let: make(chan struct{}), done: make(chan error, 1), out: &safeBuffer{},
	}
	p.write(t, text)
	log := logging.New(p.out)
	var err error
	p.Manager, err = New(Options{
		ConfigFile: p.file, Log: log, Configure: func(*config.Config) error { return nil }, ReloadInterval: 20 * time.Millisecond,
		NewExecutor: func(b *build.Build, log *joblog.Log) build.Executor { return &scripted{b, log, p.let} },
	})
	require.NoError(t, err)
	go func() { p.done <- p.untilStopped(p.stops, p.reloads) }()
	t.Cleanup(func() {
		p.stops <- syscall.SIGTERM
		p.stops <- syscall.SIGTERM
	})
	return p
}

// write replaces the file by a newer one.
func (p *process) write(t *testing.T, text string) {
	t.Helper()
	age := time.Now().Add(-time.Hour)
	if info, err := os.Stat(p.file); err == nil {
		age = info.ModTime().Add(time.Second)
	}
	temp := p.file + ".new"
	require.NoError(t, os.WriteFile(temp, []byte(text), 0o600))
	require.NoError(t, os.Chtimes(temp, age, age))
	require.NoError(t, os.Rename(temp, p.file))
}

func eventually(t *testing.T, what string, check func() bool) {
	t.Helper()
	require.Eventually(t, check, patience, 5*time.Millisecond, what)
}

// metric is the sum of a metric's values, over those of its lines that hold all of the labels.
func (p *process) metric(t *testing.T, name string, labels ...string) float64 {
	t.Helper()
	recorder := httptest.NewRecorder()
	p.handler().ServeHTTP(recorder, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	sum := 0.0
lines:
	for line := range strings.Lines(recorder.Body.String()) {
		if !strings.HasPrefix(line, name+"{") && !strings.HasPrefix(line, name+" ") {
			continue
		}
		for _, label := range labels {
			if !strings.Contains(line, label) {
				continue lines
			}
		}
		fields := strings.Fields(line)
		var value float64
		_, err := fmt.Sscan(fields[len(fields)-1], &value)
		require.NoError(t, err)
		sum += value
	}
	return sum
}

func TestRunsJobs(t *testing.T) {
	t.Parallel()
	g := newGitLab(t, 1, 2)
	g.jobs[2] = "fail"
	p := start(t, settings(g.URL, ""))
	eventually(t, "both jobs to end", func() bool { return g.ended(1) && g.ended(2) })
	require.Equal(t, "success", g.end(1)["state"])
	require.Equal(t, "failed", g.end(2)["state"])
	require.Equal(t, "script_failure", g.end(2)["failure_reason"])
	require.EqualValues(t, 3, g.end(2)["exit_code"])
	require.True(t, g.begun[1] && g.begun[2], "GitLab heard that they began")
	require.Contains(t, string(g.logs[1]), "Running with gitlab-runner 19.3.0")
	require.Contains(t, string(g.logs[1]), "working")

	eventually(t, "the jobs to leave the list", func() bool { return len(p.slots.running()) == 0 })
	short := `runner="abcdefghi",runner_name="ci-01",system_id="` + p.systemID + `"`
	for name, want := range map[string]float64{
		"gitlab_runner_jobs_total{" + short: 2, "gitlab_runner_concurrent": 2, "gitlab_runner_limit{" + short: 0,
		"gitlab_runner_job_duration_seconds_count{" + short: 2, "gitlab_runner_job_queue_size{" + short: 2,
		"gitlab_runner_configuration_loaded_total":                                                                                                     1,
		`gitlab_runner_failed_jobs_total{failure_reason="script_failure",runner="abcdefghi",runner_name="ci-01"`:                                       1,
		`gitlab_runner_worker_processing_failures_total{failure_type="job_failure",` + short:                                                           1,
		`gitlab_runner_process_state_info{state="running"`:                                                                                             1,
		`gitlab_runner_job_queue_duration_seconds_sum{project_jobs_running="1",` + short:                                                               8,
		`gitlab_runner_api_request_statuses_total{endpoint="request_job",method="post",runner="abcdefghi",status="201",system_id="` + p.systemID + `"`: 2,
	} {
		base, labels, _ := strings.Cut(name, "{")
		require.Equal(t, want, p.metric(t, base, labels), name)
	}
	require.Zero(t, p.metric(t, "gitlab_runner_jobs"))
	problems, err := testutil.GatherAndLint(p.metrics.Registry)
	require.NoError(t, err)
	for _, problem := range problems {
		// Names and units are the real runner's.
		require.NotContains(t, problem.Text, "duplicate", problem.Metric)
	}
}

func TestListsWhatRuns(t *testing.T) {
	t.Parallel()
	g := newGitLab(t, 1)
	g.jobs[1] = "wait"
	p := start(t, settings(g.URL, ""))
	eventually(t, "the script to run", func() bool {
		return p.metric(t, "gitlab_runner_jobs", `state="running"`, `stage="step_script"`) == 1
	})
	recorder := httptest.NewRecorder()
	p.handler().ServeHTTP(recorder, httptest.NewRequest(http.MethodGet, "/debug/jobs/list", nil))
	require.Equal(t, "2", recorder.Header().Get("X-List-Version"))
	require.Regexp(t, `^url=https://gitlab.example.org/-/jobs/1 state=running stage=step_script executor_stage= duration=\S+\n$`, recorder.Body.String())
	recorder = httptest.NewRecorder()
	p.handler().ServeHTTP(recorder, httptest.NewRequest(http.MethodPost, "/metrics", nil))
	require.Equal(t, http.StatusMethodNotAllowed, recorder.Code)
	close(p.let)
	eventually(t, "the job to end", func() bool { return g.ended(1) })
}

func TestNeverRunsMoreThanConcurrentAndLimit(t *testing.T) {
	t.Parallel()
	g := newGitLab(t, 1, 2, 3)
	for id := range int64(4) {
		g.jobs[id] = "wait"
	}
	p := start(t, settings(g.URL, ""))
	eventually(t, "two jobs to run", func() bool { return p.metric(t, "gitlab_runner_jobs", `state="running"`) == 2 })
	time.Sleep(1500 * time.Millisecond)
	require.Len(t, p.slots.running(), 2)
	running := p.slots.running()
	require.ElementsMatch(t, []int{0, 1}, []int{running[0].RunnerID, running[1].RunnerID})
	close(p.let)
	eventually(t, "all to end", func() bool { return g.ended(1) && g.ended(2) && g.ended(3) })

	limited := newGitLab(t, 1, 2)
	limited.jobs[1], limited.jobs[2] = "wait", "wait"
	p = start(t, strings.Replace(settings(limited.URL, ""), "request_concurrency", "limit = 1\nrequest_concurrency", 1))
	eventually(t, "a job to run", func() bool { return p.metric(t, "gitlab_runner_jobs", `state="running"`) == 1 })
	time.Sleep(1500 * time.Millisecond)
	require.Len(t, p.slots.running(), 1)
	close(p.let)
}

func TestQuitLetsJobsEnd(t *testing.T) {
	t.Parallel()
	g := newGitLab(t, 1)
	g.jobs[1] = "wait"
	p := start(t, settings(g.URL, ""))
	eventually(t, "the job to run", func() bool { return p.metric(t, "gitlab_runner_jobs", `state="running"`) == 1 })
	p.stops <- syscall.SIGQUIT
	eventually(t, "the state", func() bool { return p.metric(t, "gitlab_runner_process_state_info", "graceful-shutdown") == 1 })
	g.mu.Lock()
	g.queue = []int64{2}
	g.mu.Unlock()
	time.Sleep(1500 * time.Millisecond)
	require.False(t, g.ended(1))
	close(p.let)
	require.NoError(t, <-p.done)
	require.Equal(t, "success", g.end(1)["state"])
	require.False(t, g.begun[2], "no new job is taken")
}

func TestTermAbortsJobs(t *testing.T) {
	t.Parallel()
	g := newGitLab(t, 1)
	g.jobs[1] = "hang"
	p := start(t, settings(g.URL, ""))
	eventually(t, "the job to run", func() bool { return p.metric(t, "gitlab_runner_jobs", `state="running"`) == 1 })
	p.stops <- syscall.SIGTERM
	require.NoError(t, <-p.done)
	require.Equal(t, "failed", g.end(1)["state"])
	require.Equal(t, "runner_system_failure", g.end(1)["failure_reason"])
	require.Contains(t, string(g.logs[1]), "aborted: terminated")
}

func TestTermAfterQuit(t *testing.T) {
	t.Parallel()
	g := newGitLab(t, 1)
	g.jobs[1] = "wait"
	p := start(t, settings(g.URL, ""))
	eventually(t, "the job to run", func() bool { return p.metric(t, "gitlab_runner_jobs", `state="running"`) == 1 })
	p.stops <- syscall.SIGQUIT
	p.stops <- syscall.SIGTERM
	require.NoError(t, <-p.done)
	require.Equal(t, "failed", g.end(1)["state"])
}

func TestIdleQuitEndsAtOnce(t *testing.T) {
	t.Parallel()
	g := newGitLab(t)
	p := start(t, settings(g.URL, ""))
	eventually(t, "a poll", func() bool { return g.polled() > 0 })
	p.stops <- syscall.SIGQUIT
	require.NoError(t, <-p.done)
}

func TestFollowsItsFile(t *testing.T) {
	t.Parallel()
	g := newGitLab(t)
	p := start(t, settings(g.URL, ""))
	eventually(t, "the workers", func() bool { return p.metric(t, "gitlab_runner_worker_slots_number") == 2 })

	p.write(t, strings.Replace(settings(g.URL, ""), "concurrent = 2", "concurrent = 5", 1))
	eventually(t, "a newer file to be loaded", func() bool { return p.metric(t, "gitlab_runner_worker_slots_number") == 5 })
	require.EqualValues(t, 2, p.metric(t, "gitlab_runner_configuration_loaded_total"))

	p.write(t, "concurrent = [")
	eventually(t, "the error", func() bool { return p.metric(t, "gitlab_runner_configuration_loading_error_total") == 1 })
	time.Sleep(100 * time.Millisecond)
	require.EqualValues(t, 1, p.metric(t, "gitlab_runner_configuration_loading_error_total"), "the same file is not tried again")
	require.EqualValues(t, 5, p.metric(t, "gitlab_runner_concurrent"), "the old one serves")
	require.Contains(t, p.out.String(), "ERROR: Failed to load config")

	p.write(t, strings.Replace(settings(g.URL, ""), "concurrent = 2", "concurrent = 1", 1))
	eventually(t, "fewer workers", func() bool { return p.metric(t, "gitlab_runner_worker_slots_number") == 1 })
	require.EqualValues(t, 4, p.metric(t, "gitlab_runner_worker_slot_operations_total", `"stopped"`))

	loads := p.metric(t, "gitlab_runner_configuration_loaded_total")
	p.reloads <- syscall.SIGHUP
	eventually(t, "a reload on demand", func() bool { return p.metric(t, "gitlab_runner_configuration_loaded_total") == loads+1 })
}

func TestLeavesAGitLabAloneThatRefuses(t *testing.T) {
	t.Parallel()
	g := newGitLab(t)
	g.set(403)
	p := start(t, settings(g.URL, ""))
	eventually(t, "three refusals", func() bool { return p.metric(t, "gitlab_runner_worker_health_check_failures_total") >= 1 })
	polls := g.polled()
	require.GreaterOrEqual(t, polls, 3)
	eventually(t, "the runner to be held back", func() bool { return p.metric(t, "gitlab_runner_worker_feed_failures_total") >= 1 })
	require.LessOrEqual(t, g.polled(), polls+1)
	require.Contains(t, p.out.String(), "is unhealthy and will be disabled for 1h0m0s seconds!")
	require.Contains(t, p.out.String(), "Checking for jobs... forbidden")

	g.set(204)
	p.reloads <- syscall.SIGHUP
	eventually(t, "a new configuration to be given a chance", func() bool { return g.polled() > polls+1 })
}

func TestTradesTokensBeforeTheyExpire(t *testing.T) {
	t.Parallel()
	g := newGitLab(t)
	mux := g.Config.Handler.(*http.ServeMux)
	mux.HandleFunc("POST /api/v4/runners/reset_authentication_token", func(writer http.ResponseWriter, _ *http.Request) {
		writer.Header().Set("Content-Type", "application/json")
		writer.WriteHeader(201)
		_, _ = io.WriteString(writer, `{"token":"glrt-freshfreshfresh","token_expires_at":"2099-01-01T00:00:00.000Z"}`)
	})
	life := func(from, to time.Duration) string {
		at := func(offset time.Duration) string { return time.Now().Add(offset).UTC().Format(time.RFC3339) }
		return "executor = \"docker\"\ntoken_obtained_at = " + at(from) + "\ntoken_expires_at = " + at(to)
	}
	p := start(t, strings.Replace(settings(g.URL, ""), `executor = "docker"`, life(-80*time.Minute, 20*time.Minute), 1))
	eventually(t, "the new token to be saved", func() bool { return p.metric(t, "gitlab_runner_configuration_saved_total") == 1 })
	eventually(t, "the new token to serve", func() bool {
		return p.config.Load().Runners[0].Token == "glrt-freshfreshfresh"
	})
	saved, err := config.Load(p.file)
	require.NoError(t, err)
	require.Equal(t, "glrt-freshfreshfresh", saved.Runners[0].Token)
	require.Equal(t, 2099, saved.Runners[0].TokenExpiresAt.Year())

	young := strings.Replace(settings(g.URL, ""), `executor = "docker"`, life(-10*time.Minute, 90*time.Minute), 1)
	p = start(t, young)
	time.Sleep(100 * time.Millisecond)
	require.Zero(t, p.metric(t, "gitlab_runner_configuration_saved_total"))

	held := strings.Replace(settings(g.URL, ""), `executor = "docker"`, life(-80*time.Minute, 20*time.Minute), 1)
	p = start(t, held+"[runners.feature_flags]\nFF_DISABLE_AUTOMATIC_TOKEN_ROTATION = true\n")
	eventually(t, "a warning", func() bool { return strings.Contains(p.out.String(), "Automatic token rotation is disabled") })
	time.Sleep(100 * time.Millisecond)
	require.Equal(t, 1, strings.Count(p.out.String(), "Automatic token rotation is disabled"))
	require.Zero(t, p.metric(t, "gitlab_runner_configuration_saved_total"))
}

func TestHealth(t *testing.T) {
	t.Parallel()
	now := time.Now()
	h := newHealth(logging.New(io.Discard))
	h.now = func() time.Time { return now }
	runner := &config.Runner{URL: "https://x", Token: "glrt-x", UnhealthyRequestsLimit: 2, UnhealthyInterval: time.Minute}
	require.True(t, h.allows(runner))
	require.False(t, h.mark(runner, false))
	require.True(t, h.allows(runner))
	require.True(t, h.mark(runner, false))
	require.False(t, h.allows(runner))
	now = now.Add(time.Minute + time.Second)
	require.True(t, h.allows(runner), "the interval is over")
	require.False(t, h.mark(runner, false))
	require.False(t, h.mark(runner, true))
	require.False(t, h.mark(runner, false), "a success starts anew")
}

func TestRequestsAdapt(t *testing.T) {
	t.Parallel()
	s := newSlots("s")
	runner := &config.Runner{Token: "t", RequestConcurrency: 3}
	require.True(t, s.acquireRequest(runner))
	require.False(t, s.acquireRequest(runner), "one at first")
	for range 10 {
		s.releaseRequest(runner, true)
		require.True(t, s.acquireRequest(runner))
	}
	require.True(t, s.acquireRequest(runner), "jobs make it more")
	runner.FeatureFlags = map[string]bool{build.FlagAdaptiveConcurrency: false}
	require.True(t, s.acquireRequest(runner))
	require.False(t, s.acquireRequest(runner), "but never more than is configured")
}

func TestUnknownExecutorIsLeftAlone(t *testing.T) {
	t.Parallel()
	g := newGitLab(t, 1)
	p := start(t, strings.Replace(settings(g.URL, ""), `executor = "docker"`, `executor = "shell"`, 1))
	eventually(t, "the runner to be unhealthy", func() bool { return p.metric(t, "gitlab_runner_worker_health_check_failures_total") >= 1 })
	require.Zero(t, g.polled())
	require.Contains(t, p.out.String(), `Executor "shell" is not known`)
}

func TestQueuedTooLong(t *testing.T) {
	t.Parallel()
	rule := config.JobQueuingDuration{Threshold: 10 * time.Second, JobsRunningForProject: `^(0|1)$`}
	for _, test := range []struct {
		seconds float64
		running string
		want    bool
	}{{5, "0", false}, {11, "0", true}, {11, "7", false}} {
		got := queuedTooLong(&config.Monitoring{JobQueuingDurations: []config.JobQueuingDuration{rule}},
			api.JobInfo{TimeInQueueSeconds: test.seconds, ProjectJobsRunning: test.running})
		require.Equal(t, test.want, got, test)
	}
	require.False(t, queuedTooLong(nil, api.JobInfo{TimeInQueueSeconds: 1e6}))
}

func TestAddress(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]string{
		"": "", "127.0.0.1": "127.0.0.1:9252", ":9252": ":9252", "10.0.0.1:1": "10.0.0.1:1", "10.0.0.1:": "10.0.0.1:9252",
	} {
		m := &Manager{Options: Options{ListenAddress: address}}
		m.config.Store(config.Default())
		got, err := m.address()
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
}
