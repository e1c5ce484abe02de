package api

import (
	"context"
	"encoding/json"
	"encoding/pem"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// call is a request that the test server has had.
type call struct {
	method, path string
	header       http.Header
	body         map[string]any
	raw          string
}

// gitlab answers with what the test gives it, and keeps what it was asked.
type gitlab struct {
	*httptest.Server
	calls  []call
	answer func(call, http.ResponseWriter)
}

func newGitLab(t *testing.T, answer func(call, http.ResponseWriter)) *gitlab {
	t.Helper()
	g := &gitlab{answer: answer}
	g.Server = httptest.NewServer(http.HandlerFunc(g.serve))
	t.Cleanup(g.Close)
	return g
}

func (g *gitlab) serve(writer http.ResponseWriter, request *http.Request) {
	data, _ := io.ReadAll(request.Body)
	c := call{method: request.Method, path: request.URL.RequestURI(), header: request.Header, raw: string(data)}
	_ = json.Unmarshal(data, &c.body)
	g.calls = append(g.calls, c)
	g.answer(c, writer)
}

func (g *gitlab) runner() *Server {
	return &Server{URL: g.URL + "/", Token: "glrt-secret", SystemID: "s_0123456789ab"}
}

func status(code int) func(call, http.ResponseWriter) {
	return func(_ call, writer http.ResponseWriter) { writer.WriteHeader(code) }
}

func jsonAnswer(code int, body string) func(call, http.ResponseWriter) {
	return func(_ call, writer http.ResponseWriter) {
		writer.Header().Set("Content-Type", "application/json; charset=utf-8")
		writer.WriteHeader(code)
		_, _ = io.WriteString(writer, body)
	}
}

// quick is a client that does not wait between tries; it adds up what it would have waited.
func quick(waited *time.Duration) *Client {
	client := New(nil)
	client.sleep = func(_ context.Context, pause time.Duration) {
		if waited != nil {
			*waited += pause
		}
	}
	return client
}

func TestPollBringsAJob(t *testing.T) {
	g := newGitLab(t, jsonAnswer(201, `{"id":7,"token":"glcbt-x","runner_info":{"timeout":60},
		"job_info":{"project_jobs_running_on_instance_runners_count":"+Inf"},"image":{"name":"alpine"}}`))
	job, outcome, err := quick(nil).RequestJob(context.Background(), g.runner(), NewInfo("docker", ""))
	require.NoError(t, err)
	require.Equal(t, Answered, outcome)
	require.EqualValues(t, 7, job.ID)
	require.Equal(t, "alpine", job.Image.Name)
	require.Equal(t, "+Inf", job.JobInfo.ProjectJobsRunning)
	sent := g.calls[0]
	require.Equal(t, "POST /api/v4/jobs/request", sent.method+" "+sent.path)
	require.Equal(t, "glrt-secret", sent.header.Get("Runner-Token"))
	require.Equal(t, "glrt-secret", sent.body["token"])
	require.Equal(t, "s_0123456789ab", sent.body["system_id"])
	require.Contains(t, sent.header.Get("User-Agent"), "gitlab-runner 19.3.0")
	info := sent.body["info"].(map[string]any)
	require.Equal(t, "docker", info["executor"])
	require.Equal(t, true, info["features"].(map[string]any)["two_phase_job_commit"])
}

func TestPollTellsWhatItHasSeen(t *testing.T) {
	g := newGitLab(t, func(_ call, writer http.ResponseWriter) {
		writer.Header().Set("X-GitLab-Last-Update", "mark-1")
		writer.WriteHeader(204)
	})
	client := quick(nil)
	for range 2 {
		job, outcome, err := client.RequestJob(context.Background(), g.runner(), Info{})
		require.NoError(t, err)
		require.Nil(t, job)
		require.Equal(t, Answered, outcome)
	}
	require.Nil(t, g.calls[0].body["last_update"])
	require.Equal(t, "mark-1", g.calls[1].body["last_update"])
}

func TestPollOutcomes(t *testing.T) {
	for name, test := range map[string]struct {
		answer func(call, http.ResponseWriter)
		want   Outcome
		calls  int
	}{
		"a refused token":      {status(403), Refused, 1},
		"a conflict":           {status(409), Later, 1},
		"too many requests":    {status(429), Later, tries},
		"a GitLab that is ill": {status(503), Later, tries},
		"no JSON":              {func(_ call, w http.ResponseWriter) { w.WriteHeader(201) }, Refused, 1},
		"broken JSON":          {jsonAnswer(201, `{`), Refused, 1},
	} {
		t.Run(name, func(t *testing.T) {
			g := newGitLab(t, test.answer)
			job, outcome, err := quick(nil).RequestJob(context.Background(), g.runner(), Info{})
			require.Error(t, err)
			require.Nil(t, job)
			require.Equal(t, test.want, outcome)
			require.Len(t, g.calls, test.calls)
		})
	}
	t.Run("nobody there", func(t *testing.T) {
		_, outcome, err := quick(nil).RequestJob(context.Background(), &Server{URL: "http://127.0.0.1:1"}, Info{})
		require.Error(t, err)
		require.Equal(t, Refused, outcome)
	})
	t.Run("no address", func(t *testing.T) {
		_, outcome, err := quick(nil).RequestJob(context.Background(), &Server{URL: "ftp://x"}, Info{})
		require.ErrorContains(t, err, "only http or https scheme supported")
		require.Equal(t, Refused, outcome)
	})
}

func TestWaitsAsLongAsGitLabAsks(t *testing.T) {
	tried := 0
	g := newGitLab(t, func(_ call, writer http.ResponseWriter) {
		if tried++; tried == 1 {
			writer.Header().Set("Retry-After", "7")
			writer.WriteHeader(429)
			return
		}
		writer.WriteHeader(204)
	})
	var waited time.Duration
	_, _, err := quick(&waited).RequestJob(context.Background(), g.runner(), Info{})
	require.NoError(t, err)
	require.Equal(t, 7*time.Second, waited)
}

func TestVerify(t *testing.T) {
	g := newGitLab(t, jsonAnswer(200, `{"id":42,"token":"glrt-secret","token_expires_at":null}`))
	verified, err := quick(nil).Verify(context.Background(), g.runner(), NewInfo("docker", "sh"))
	require.NoError(t, err)
	require.EqualValues(t, 42, verified.ID)
	require.Equal(t, "/api/v4/runners/verify", g.calls[0].path)
	require.NotNil(t, g.calls[0].body["info"])
	g.answer = status(403)
	_, err = quick(nil).Verify(context.Background(), g.runner(), Info{})
	require.ErrorIs(t, err, ErrForbidden)
	g.answer = status(500)
	_, err = quick(nil).Verify(context.Background(), g.runner(), Info{})
	require.Error(t, err)
	require.NotErrorIs(t, err, ErrForbidden)
}

func TestUnregisterRemovesOnlyThisManager(t *testing.T) {
	g := newGitLab(t, status(204))
	require.NoError(t, quick(nil).Unregister(context.Background(), g.runner()))
	require.Equal(t, "DELETE /api/v4/runners/managers", g.calls[0].method+" "+g.calls[0].path)
	require.Equal(t, map[string]any{"token": "glrt-secret", "system_id": "s_0123456789ab"}, g.calls[0].body)
	old := g.runner()
	old.Token = "registered-the-old-way"
	require.NoError(t, quick(nil).Unregister(context.Background(), old))
	require.Equal(t, "/api/v4/runners", g.calls[1].path)
}

func TestUpdateJobResults(t *testing.T) {
	for name, test := range map[string]struct {
		code   int
		status string
		want   UpdateResult
	}{
		"taken": {200, "success", UpdateAccepted}, "not yet": {202, "running", UpdatePending},
		"another log": {412, "", UpdateRefusesTrace}, "not known": {404, "", UpdateUnknownJob},
		"refused": {403, "", UpdateAborts}, "canceled": {403, "canceled", UpdateAborts},
		"taken, and failed now": {200, "failed", UpdateAccepted},
		"bad":                   {400, "", UpdateFailed},
	} {
		t.Run(name, func(t *testing.T) {
			g := newGitLab(t, func(_ call, writer http.ResponseWriter) {
				writer.Header().Set("Job-Status", test.status)
				writer.WriteHeader(test.code)
			})
			got, _ := quick(nil).UpdateJob(context.Background(), g.runner(), NewInfo("docker", ""), JobRef{7, "glcbt-x"},
				Update{State: Failed, FailureReason: ScriptFailure, ExitCode: 3, Output: Output{"crc32:01020304", 5}})
			require.Equal(t, test.want, got)
			sent := g.calls[0]
			require.Equal(t, "PUT /api/v4/jobs/7", sent.method+" "+sent.path)
			require.Equal(t, "glcbt-x", sent.header.Get("Job-Token"))
			require.Equal(t, "failed", sent.body["state"])
			require.Equal(t, "script_failure", sent.body["failure_reason"])
			require.EqualValues(t, 3, sent.body["exit_code"])
			require.Equal(t, map[string]any{"checksum": "crc32:01020304", "bytesize": 5.0}, sent.body["output"])
		})
	}
}

func TestKeepAliveHearsThatTheJobHasEnded(t *testing.T) {
	g := newGitLab(t, func(_ call, writer http.ResponseWriter) { writer.Header().Set("Job-Status", "canceled") })
	got, _ := quick(nil).UpdateJob(context.Background(), g.runner(), Info{}, JobRef{7, "glcbt-x"}, Update{State: Running})
	require.Equal(t, UpdateAborts, got)
}

func TestPatchTrace(t *testing.T) {
	for name, test := range map[string]struct {
		code   int
		header map[string]string
		want   PatchResult
		offset int
		wishes Wishes
	}{
		"taken":        {202, map[string]string{"X-GitLab-Trace-Update-Interval": "60"}, PatchAccepted, 13, Wishes{Interval: time.Minute}},
		"elsewhere":    {416, map[string]string{"Range": "0-4"}, PatchElsewhere, 4, Wishes{}},
		"no range":     {416, nil, PatchFailed, 10, Wishes{}},
		"not known":    {404, nil, PatchUnknownJob, 10, Wishes{}},
		"refused":      {403, nil, PatchAborts, 10, Wishes{}},
		"canceled":     {202, map[string]string{"Job-Status": "canceled"}, PatchAborts, 10, Wishes{}},
		"is canceling": {202, map[string]string{"Job-Status": "canceling"}, PatchAccepted, 13, Wishes{CancelGracefully: true}},
	} {
		t.Run(name, func(t *testing.T) {
			g := newGitLab(t, func(_ call, writer http.ResponseWriter) {
				for key, value := range test.header {
					writer.Header().Set(key, value)
				}
				writer.WriteHeader(test.code)
			})
			got, offset, wishes := quick(nil).PatchTrace(context.Background(), g.runner(), JobRef{7, "glcbt-x"}, []byte("abc"), 10, false)
			require.Equal(t, test.want, got)
			require.Equal(t, test.offset, offset)
			wishes.Text = ""
			require.Equal(t, test.wishes, wishes)
			require.Equal(t, "PATCH /api/v4/jobs/7/trace?debug_trace=false", g.calls[0].method+" "+g.calls[0].path)
			require.Equal(t, "10-12", g.calls[0].header.Get("Content-Range"))
			require.Equal(t, "text/plain", g.calls[0].header.Get("Content-Type"))
			require.Equal(t, "abc", g.calls[0].raw)
		})
	}
}

func TestReportsOnlyReasonsThatGitLabKnows(t *testing.T) {
	features := GitLabFeatures{FailureReasons: []string{"image_pull_failure"}}
	require.Equal(t, ImagePullFailure, features.Report(ImagePullFailure))
	require.Equal(t, ScriptFailure, features.Report(ScriptFailure))
	require.Equal(t, UnknownFailure, features.Report(JobCanceled))
	require.Equal(t, RunnerSystemFailure, features.Report(RunnerInterrupted))
	features.FailureReasons = append(features.FailureReasons, "runner_interrupted")
	require.Equal(t, RunnerInterrupted, features.Report(RunnerInterrupted))
}

func TestTrustsTheCertificateOfItsHost(t *testing.T) {
	server := httptest.NewTLSServer(http.HandlerFunc(func(writer http.ResponseWriter, _ *http.Request) {
		jsonAnswer(201, `{"id":1}`)(call{}, writer)
	}))
	t.Cleanup(server.Close)
	parsed, err := url.Parse(server.URL)
	require.NoError(t, err)
	certs := t.TempDir()
	runner := &Server{URL: server.URL, Token: "glrt-x", CertificatesDir: certs}
	_, outcome, err := quick(nil).RequestJob(context.Background(), runner, Info{})
	require.ErrorContains(t, err, "certificate")
	require.Equal(t, Refused, outcome)

	file := filepath.Join(certs, parsed.Hostname()+".crt")
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	require.NoError(t, os.WriteFile(file, text, 0o600))
	job, _, err := quick(nil).RequestJob(context.Background(), runner, Info{})
	require.NoError(t, err)
	require.Equal(t, string(text), job.CAChain)

	runner.CAFile = filepath.Join(certs, "none.crt")
	_, _, err = quick(nil).RequestJob(context.Background(), runner, Info{})
	require.ErrorContains(t, err, "tls-ca-file")
	runner.CAFile = file
	_, _, err = quick(nil).RequestJob(context.Background(), runner, Info{})
	require.NoError(t, err)
}

type observed struct {
	statuses []int
	retries  int
}

func (o *observed) Requested(_ *Server, _ Endpoint, status int, _ string, _ time.Duration) {
	o.statuses = append(o.statuses, status)
}
func (o *observed) Retried(string, string) { o.retries++ }

func TestCountsRequests(t *testing.T) {
	codes := []int{503, 500, 204}
	g := newGitLab(t, func(_ call, writer http.ResponseWriter) {
		writer.WriteHeader(codes[0])
		codes = codes[1:]
	})
	o := &observed{}
	client := quick(nil)
	client.observer = o
	_, _, err := client.RequestJob(context.Background(), g.runner(), Info{})
	require.NoError(t, err)
	require.Equal(t, []int{503, 500, 204}, o.statuses)
	require.Equal(t, 2, o.retries)
}
