package docker

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"gitlab-runner-proxmox/lab/internal/runner/api"
	"gitlab-runner-proxmox/lab/internal/runner/build"
	"gitlab-runner-proxmox/lab/internal/runner/config"
	"gitlab-runner-proxmox/lab/internal/runner/engine"
	"gitlab-runner-proxmox/lab/internal/runner/joblog"
	"gitlab-runner-proxmox/lab/internal/runner/logging"
)

// container is one that the fake engine was asked to make.
type container struct {
	ID         string
	Name       string
	Image      string
	Entrypoint []string
	Cmd        []string
	Env        []string
	Labels     map[string]string
	User       string
	HostConfig engine.HostConfig

	NetworkingConfig engine.NetworkingConfig

	removed bool
	ended   chan struct{}
	once    sync.Once
	stdin   []string
	code    int
}

// fakeEngine is a Docker engine that runs nothing: it keeps what it is asked for, and containers
// end as behave says.
type fakeEngine struct {
	mu         sync.Mutex
	images     map[string]string
	registry   map[string]string
	containers []*container
	volumes    map[string]map[string]string
	networks   map[string]map[string]any
	pulls      []string
	loaded     []byte
	execs      int
	// behave gets what a container is fed and says what it prints and its status; hangs means that
	// it runs until it is killed.
	behave func(c *container, script string) (out string, code int, hangs bool)
	// refuse makes the creation of a container fail.
	refuse string
}

func newFakeEngine(t *testing.T) (*fakeEngine, string) {
	t.Helper()
	f := &fakeEngine{
		images: map[string]string{
			"debian:trixie-slim": "sha256:debian",
			"registry.gitlab.com/gitlab-org/gitlab-runner/gitlab-runner-helper:x86_64-v19.3.0": "sha256:helper",
		},
		registry: map[string]string{"redis:7": "sha256:redis", "alpine:3.22": "sha256:alpine", "debian:trixie-slim": "sha256:newer"},
		volumes:  map[string]map[string]string{}, networks: map[string]map[string]any{},
		behave: func(*container, string) (string, int, bool) { return "", 0, false },
	}
	socket := filepath.Join(t.TempDir(), "docker.sock")
	listener, err := net.Listen("unix", socket)
	require.NoError(t, err)
	server := &httptest.Server{Listener: listener, Config: &http.Server{Handler: f.routes()}}
	server.Start()
	t.Cleanup(server.Close)
	return f, "unix://" + socket
}

func answer(writer http.ResponseWriter, status int, body any) {
	writer.Header().Set("Content-Type", "application/json")
	writer.WriteHeader(status)
	if body != nil {
		_ = json.NewEncoder(writer).Encode(body)
	}
}

func fail(writer http.ResponseWriter, status int, message string) {
	answer(writer, status, map[string]string{"message": message})
}

func (f *fakeEngine) routes() http.Handler {
	mux := http.NewServeMux()
	handle := func(route string, do func(http.ResponseWriter, *http.Request)) {
		method, path, _ := strings.Cut(route, " ")
		mux.HandleFunc(method+" /v1.41"+path, do)
	}
	mux.HandleFunc("GET /version", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, 200, map[string]string{"ApiVersion": "1.41"})
	})
	handle("GET /info", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, 200, map[string]string{"OSType": "linux", "Architecture": "x86_64"})
	})
	handle("GET /images/{name...}", f.inspectImage)
	handle("POST /images/create", f.pull)
	handle("POST /images/load", f.load)
	handle("POST /images/{name...}", func(w http.ResponseWriter, r *http.Request) {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.images[r.FormValue("repo")+":"+r.FormValue("tag")] = "sha256:loaded"
		answer(w, 201, nil)
	})
	handle("POST /containers/create", f.create)
	handle("GET /containers/{id}/json", f.inspect)
	handle("GET /containers/{id}/logs", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, frame("service log\n"))
	})
	handle("POST /containers/{id}/{action}", f.act)
	handle("DELETE /containers/{id}", f.remove)
	handle("POST /exec/{id}/start", func(w http.ResponseWriter, _ *http.Request) { hijack(w, func(net.Conn) {}) })
	handle("GET /exec/{id}/json", func(w http.ResponseWriter, _ *http.Request) { answer(w, 200, map[string]int{}) })
	handle("GET /volumes/{name}", func(w http.ResponseWriter, r *http.Request) {
		f.mu.Lock()
		defer f.mu.Unlock()
		if _, ok := f.volumes[r.PathValue("name")]; !ok {
			fail(w, 404, "no such volume")
			return
		}
		answer(w, 200, map[string]string{})
	})
	handle("POST /volumes/create", func(w http.ResponseWriter, r *http.Request) {
		var body struct {
			Name   string
			Labels map[string]string
		}
		_ = json.NewDecoder(r.Body).Decode(&body)
		f.mu.Lock()
		defer f.mu.Unlock()
		f.volumes[body.Name] = body.Labels
		answer(w, 201, map[string]string{})
	})
	handle("DELETE /volumes/{name}", func(w http.ResponseWriter, r *http.Request) {
		f.mu.Lock()
		defer f.mu.Unlock()
		delete(f.volumes, r.PathValue("name"))
		answer(w, 204, nil)
	})
	handle("POST /networks/create", func(w http.ResponseWriter, r *http.Request) {
		body := map[string]any{}
		_ = json.NewDecoder(r.Body).Decode(&body)
		f.mu.Lock()
		defer f.mu.Unlock()
		f.networks[body["Name"].(string)] = body
		answer(w, 201, map[string]any{"Id": body["Name"]})
	})
	handle("GET /networks/{id}", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, 200, map[string]any{"Containers": map[string]any{}})
	})
	handle("DELETE /networks/{id}", func(w http.ResponseWriter, r *http.Request) {
		f.mu.Lock()
		defer f.mu.Unlock()
		delete(f.networks, r.PathValue("id"))
		answer(w, 204, nil)
	})
	return mux
}

func (f *fakeEngine) inspectImage(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	id, ok := f.images[strings.TrimSuffix(r.PathValue("name"), "/json")]
	if !ok {
		fail(w, 404, "No such image")
		return
	}
	answer(w, 200, map[string]any{"Id": id, "Os": "linux", "Architecture": "amd64"})
}

func (f *fakeEngine) pull(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	name := r.FormValue("fromImage")
	f.pulls = append(f.pulls, name)
	id, ok := f.registry[name]
	if !ok {
		fail(w, 404, "manifest for "+name+" not found")
		return
	}
	f.images[name] = id
	answer(w, 200, map[string]string{"status": "done"})
}

func (f *fakeEngine) load(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.loaded, _ = io.ReadAll(r.Body)
	answer(w, 200, map[string]string{"stream": "Loaded image ID: sha256:loaded\n"})
}

func (f *fakeEngine) create(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.refuse != "" {
		fail(w, 400, f.refuse)
		return
	}
	c := &container{ended: make(chan struct{})}
	if err := json.NewDecoder(r.Body).Decode(c); err != nil {
		fail(w, 400, err.Error())
		return
	}
	c.ID, c.Name = fmt.Sprintf("%064d", len(f.containers)+1), r.FormValue("name")
	if slices.ContainsFunc(f.containers, func(other *container) bool { return other.Name == c.Name && !other.removed }) {
		fail(w, 409, "The container name is already in use")
		return
	}
	f.containers = append(f.containers, c)
	answer(w, 201, map[string]string{"Id": c.ID})
}

// find is called without the lock.
func (f *fakeEngine) find(id string) *container {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, c := range f.containers {
		if (c.ID == id || c.Name == id) && !c.removed {
			return c
		}
	}
	return nil
}

func (f *fakeEngine) inspect(w http.ResponseWriter, r *http.Request) {
	c := f.find(r.PathValue("id"))
	if c == nil {
		fail(w, 404, "No such container")
		return
	}
	answer(w, 200, map[string]any{
		"Id": c.ID, "Config": map[string]any{"ExposedPorts": map[string]any{"6379/tcp": map[string]any{}}},
		"NetworkSettings": map[string]any{"Networks": map[string]any{"bridge": map[string]string{"IPAddress": "172.17.0.9"}}},
	})
}

func (f *fakeEngine) act(w http.ResponseWriter, r *http.Request) {
	c := f.find(r.PathValue("id"))
	if c == nil {
		fail(w, 404, "No such container")
		return
	}
	switch r.PathValue("action") {
	case "start":
		// Without a script there is nothing to wait for.
		if !strings.HasSuffix(c.Name, "-build") && !strings.HasSuffix(c.Name, "-predefined") {
			_, code, _ := f.behave(c, "")
			f.finish(c, code)
		}
		answer(w, 204, nil)
	case "attach":
		hijack(w, func(conn net.Conn) { f.talk(c, conn) })
	case "wait":
		select {
		case <-c.ended:
		case <-r.Context().Done():
			return
		}
		f.mu.Lock()
		defer f.mu.Unlock()
		answer(w, 200, map[string]int{"StatusCode": c.code})
	case "kill":
		c.once.Do(func() { close(c.ended) })
		answer(w, 204, nil)
	case "exec":
		f.mu.Lock()
		f.execs++
		f.mu.Unlock()
		answer(w, 201, map[string]string{"Id": "e1"})
	default:
		fail(w, 404, "page not found")
	}
}

func (f *fakeEngine) talk(c *container, conn net.Conn) {
	script, _ := io.ReadAll(conn)
	f.mu.Lock()
	c.stdin = append(c.stdin, string(script))
	f.mu.Unlock()
	out, code, hangs := f.behave(c, string(script))
	_, _ = io.WriteString(conn, frame(out))
	if hangs {
		<-c.ended
		return
	}
	f.finish(c, code)
}

func (f *fakeEngine) finish(c *container, code int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	c.code = code
	c.once.Do(func() { close(c.ended) })
}

func (f *fakeEngine) remove(w http.ResponseWriter, r *http.Request) {
	c := f.find(r.PathValue("id"))
	if c == nil {
		fail(w, 404, "No such container")
		return
	}
	c.once.Do(func() { close(c.ended) })
	f.mu.Lock()
	defer f.mu.Unlock()
	c.removed = true
	answer(w, 204, nil)
}

func frame(text string) string {
	if text == "" {
		return ""
	}
	return string([]byte{1, 0, 0, 0, 0, 0, byte(len(text) >> 8), byte(len(text))}) + text
}

func hijack(w http.ResponseWriter, use func(net.Conn)) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(err)
	}
	defer conn.Close()
	_, _ = io.WriteString(conn, "HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n")
	use(conn)
}

// left are the containers, temporary volumes and networks that a build has left.
func (f *fakeEngine) left() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	var left []string
	for _, c := range f.containers {
		if !c.removed {
			left = append(left, c.Name)
		}
	}
	for name := range f.volumes {
		if strings.Contains(name, "concurrent") {
			left = append(left, name)
		}
	}
	for name := range f.networks {
		left = append(left, name)
	}
	return left
}

// made is the only container whose name ends so.
func (f *fakeEngine) made(t *testing.T, suffix string) *container {
	t.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	var found *container
	for _, c := range f.containers {
		if strings.HasSuffix(c.Name, suffix) {
			require.Nil(t, found, "several containers %s", suffix)
			found = c
		}
	}
	require.NotNil(t, found, "no container %s", suffix)
	return found
}

// run takes a job through the fake engine.
func (f *fakeEngine) run(t *testing.T, host string, docker config.Docker, edit func(*api.Job, *config.Runner)) (build.Result, string) {
	t.Helper()
	b, log, buffer := newBuild(host, docker, edit)
	result := b.Run(t.Context(), New(b, log), log)
	require.NoError(t, log.Close())
	text := string(bytes.ReplaceAll(buffer.Part(0, 1<<20), []byte("\x1b[0;m"), nil))
	require.Empty(t, f.left(), text)
	return result, text
}

func newBuild(host string, docker config.Docker, edit func(*api.Job, *config.Runner)) (*build.Build, *joblog.Log, *joblog.Buffer) {
	docker.Host = host
	if docker.Image == "" {
		docker.Image = "debian:trixie-slim"
	}
	if docker.PullPolicy == nil {
		docker.PullPolicy = config.StringOrArray{"if-not-present"}
	}
	runner := &config.Runner{Name: "ci-01", URL: "https://gitlab.example.org", Token: "glrt-ABCDEFGHIJK", Executor: "docker", Docker: &docker}
	job := &api.Job{
		ID: 7, Token: "glcbt-job", JobInfo: api.JobInfo{ProjectID: 3, ProjectFullPath: "group/app"},
		RunnerInfo: api.RunnerInfo{Timeout: 600},
		Variables: []api.Variable{
			{Key: "GIT_STRATEGY", Value: "none"}, {Key: "SECRET", Value: "hunter2", Masked: true}, {Key: "SHOWN", Value: "1", Public: true},
		},
		Steps: []api.Step{{Name: "script", Script: []string{"echo hello"}}},
	}
	if edit != nil {
		edit(job, runner)
	}
	server := &api.Server{URL: runner.URL, Token: runner.Token, Short: "ABCDEFGHI", SystemID: "s_0123456789ab"}
	own := logging.New(io.Discard)
	b := build.New(job, runner, server, "ci-01", "", own)
	buffer := joblog.NewBuffer(1 << 20)
	options := b.LogOptions()
	options.Stamps = false
	return b, joblog.New(buffer, options), buffer
}
