package cli

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"gitlab-runner-proxmox/lab/internal/runner/config"
)

func run(args ...string) (code int, out, log string) {
	var stdout, stderr bytes.Buffer
	code = Main(append([]string{"gitlab-runner"}, args...), &stdout, &stderr)
	return code, stdout.String(), stderr.String()
}

// gitlab answers every call with one status, and counts.
func gitlab(t *testing.T, status int) (*httptest.Server, *[]string) {
	t.Helper()
	var calls []string
	server := httptest.NewServer(http.HandlerFunc(func(writer http.ResponseWriter, request *http.Request) {
		calls = append(calls, request.Method+" "+request.URL.Path)
		writer.Header().Set("Content-Type", "application/json")
		writer.WriteHeader(status)
		if status == http.StatusOK {
			_, _ = io.WriteString(writer, `{"id":42,"token":"glrt-one","token_expires_at":null}`)
		}
	}))
	t.Cleanup(server.Close)
	return server, &calls
}

func file(t *testing.T, url string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "config.toml")
	text := "concurrent = 2\n"
	for _, runner := range []string{"one", "two"} {
		text += "[[runners]]\nname = \"" + runner + "\"\nurl = \"" + url + "\"\ntoken = \"glrt-" + runner + "\"\nexecutor = \"docker\"\n"
	}
	require.NoError(t, os.WriteFile(name, []byte(text), 0o600))
	return name
}

func names(t *testing.T, name string) []string {
	t.Helper()
	loaded, err := config.Load(name)
	require.NoError(t, err)
	var names []string
	for _, runner := range loaded.Runners {
		names = append(names, runner.Name)
	}
	return names
}

func TestVersion(t *testing.T) {
	for _, flag := range []string{"--version", "-v"} {
		code, out, _ := run(flag)
		require.Zero(t, code)
		require.Regexp(t, `^Version:      19\.3\.0\nGit revision: \S+\nGit branch:   \S+\nGO version:   go\S+\nBuilt:        .+\nOS/Arch:      \S+/\S+\n$`, out)
	}
}

func TestLint(t *testing.T) {
	name := file(t, "https://gitlab.example.org")
	code, _, log := run("lint", "--config", name)
	require.Zero(t, code, log)
	require.Contains(t, log, "Configuration file is valid.")
	require.NoError(t, os.WriteFile(name, []byte("concurrent = 2\nshutdown = 1\n"), 0o600))
	code, _, log = run("lint", "-c", name)
	require.Equal(t, 1, code)
	require.Contains(t, log, "FATAL: 1 unknown key(s) found in "+name+":\n  unknown key: shutdown")
	_, err := os.Stat(filepath.Join(filepath.Dir(name), config.SystemIDFile))
	require.ErrorIs(t, err, os.ErrNotExist, "it only reads")
}

func TestList(t *testing.T) {
	code, _, log := run("list", "--config", file(t, "https://gitlab.example.org"))
	require.Zero(t, code)
	require.Contains(t, log, "Executor=docker Token=glrt-one URL=https://gitlab.example.org")
}

func TestVerifyTakesOnlyARefusalForAFailure(t *testing.T) {
	for status, want := range map[int]int{200: 0, 403: 1, 404: 0} {
		server, calls := gitlab(t, status)
		code, _, log := run("verify", "--config", file(t, server.URL))
		require.Equal(t, want, code, log)
		require.Equal(t, []string{"POST /api/v4/runners/verify", "POST /api/v4/runners/verify"}, *calls)
		if want == 1 {
			require.Contains(t, log, "FATAL: Failed to verify runners")
		}
	}
	code, _, log := run("verify", "--config", file(t, "http://127.0.0.1:1"))
	require.Zero(t, code, "a GitLab that does not answer is none, as with the real runner")
	require.Contains(t, log, "Verifying runner... failed")
}

func TestVerifyOne(t *testing.T) {
	server, calls := gitlab(t, 200)
	name := file(t, server.URL)
	code, _, log := run("verify", "--config", name, "--name", "two")
	require.Zero(t, code)
	require.Contains(t, log, "Verifying runner... is valid")
	require.Contains(t, log, "runner=two")
	require.Len(t, *calls, 1)
	code, _, _ = run("verify", "--config", name, "--name", "three")
	require.Equal(t, 1, code)
}

func TestVerifyDeletesWhatIsRefused(t *testing.T) {
	server, _ := gitlab(t, 403)
	name := file(t, server.URL)
	code, _, log := run("verify", "--config", name, "--name", "one", "--delete")
	require.Zero(t, code, log)
	require.Equal(t, []string{"two"}, names(t, name))
}

func TestUnregister(t *testing.T) {
	server, calls := gitlab(t, 204)
	name := file(t, server.URL)
	code, _, log := run("unregister", "--config", name, "--name", "one")
	require.Zero(t, code, log)
	require.Equal(t, []string{"two"}, names(t, name))
	code, _, log = run("unregister", "--config", name, "--all-runners")
	require.Zero(t, code, log)
	require.Empty(t, names(t, name))
	require.Equal(t, []string{"DELETE /api/v4/runners/managers", "DELETE /api/v4/runners/managers"}, *calls)
	code, _, _ = run("unregister", "--config", name)
	require.Equal(t, 1, code, "it must be said which")
}

func TestUnregisterKeepsWhatGitLabDoesNotLetGo(t *testing.T) {
	server, _ := gitlab(t, 403)
	name := file(t, server.URL)
	code, _, log := run("unregister", "--config", name, "--all-runners")
	require.Zero(t, code, "as with the real runner")
	require.Contains(t, log, "ERROR: Failed to unregister runner one")
	require.Equal(t, []string{"one", "two"}, names(t, name))
	code, _, _ = run("unregister", "--config", name, "--token", "glrt-two", "--url", server.URL)
	require.Equal(t, 1, code)
}

func TestRegisterAppends(t *testing.T) {
	server, _ := gitlab(t, 200)
	name := file(t, server.URL)
	args := []string{"register", "--config", name, "--non-interactive", "--url", server.URL, "--token", "glrt-three", "--executor", "docker", "--docker-image", "alpine:3.22", "--name", "three"}
	for range 2 {
		code, _, log := run(args...)
		require.Zero(t, code, log)
	}
	require.Equal(t, []string{"one", "two", "three", "three"}, names(t, name))
	loaded, err := config.Load(name)
	require.NoError(t, err)
	require.EqualValues(t, 42, loaded.Runners[2].ID)
	require.Equal(t, "alpine:3.22", loaded.Runners[2].Docker.Image)
}

func TestRegisterRefuses(t *testing.T) {
	server, calls := gitlab(t, 200)
	base := []string{"register", "--config", file(t, server.URL), "--url", server.URL, "--non-interactive"}
	for name, more := range map[string][]string{
		"registration tokens":        {"--token", "GR1348941abc", "--executor", "docker"},
		"what GitLab decides":        {"--token", "glrt-x", "--executor", "docker", "--tag-list", "a"},
		"to guess the executor":      {"--token", "glrt-x"},
		"to go on without the token": {"--executor", "docker"},
	} {
		code, _, _ := run(append(append([]string{}, base...), more...)...)
		require.Equal(t, 1, code, name)
	}
	require.Empty(t, *calls)
}

func TestUnknownFlagsAndFilesFail(t *testing.T) {
	code, _, log := run("run", "--bogus")
	require.Equal(t, 1, code)
	require.Contains(t, log, "flag provided but not defined: -bogus")
	broken := filepath.Join(t.TempDir(), "config.toml")
	require.NoError(t, os.WriteFile(broken, []byte("concurrent = ["), 0o600))
	code, _, log = run("run", "--config", broken)
	require.Equal(t, 1, code)
	require.Contains(t, log, "FATAL: Service run failed: "+broken)
	code, _, _ = run("--log-level", "loud", "list")
	require.Equal(t, 1, code)
}
