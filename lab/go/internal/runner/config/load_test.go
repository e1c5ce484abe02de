package config

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const valid = `
concurrent = 4
check_interval = 5
connection_max_age = "10m"

[[runners]]
  name = "one"
  url = "${GITLAB_URL}"
  token = "${TOKEN}"
  executor = "docker"
  unhealthy_interval = "5m"
  [runners.feature_flags]
    FF_NETWORK_PER_BUILD = true
  [runners.docker]
    image = "debian:trixie-slim"
    pull_policy = "always"
    services_limit = 0
    [[runners.docker.services]]
      name = "redis:7"

[[runners]]
  name = "two"
  url = "https://gitlab.example.org"
  token = "glrt-2"
  executor = "docker"
  [runners.docker]
    image = "debian:trixie-slim"
    pull_policy = ["always", "if-not-present"]
`

func write(t *testing.T, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "config.toml")
	require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
	return file
}

func TestLoadsAFile(t *testing.T) {
	t.Setenv("GITLAB_URL", "https://gitlab.example.org")
	t.Setenv("TOKEN", "glrt-from-environment")
	file := write(t, valid)
	loaded, err := Load(file)
	require.NoError(t, err)
	require.Empty(t, loaded.Unknown)
	require.Empty(t, loaded.Violations)
	require.False(t, loaded.ModTime.IsZero())
	require.Equal(t, 5*time.Second, loaded.Interval())
	require.Equal(t, 10*time.Minute, loaded.ConnectionMaxAge)
	one, two := loaded.Runners[0], loaded.Runners[1]
	require.Equal(t, "https://gitlab.example.org", one.URL)
	require.Equal(t, "glrt-from-environment", one.Token)
	require.Equal(t, 5*time.Minute, one.UnhealthyPause())
	require.Equal(t, map[string]bool{"FF_NETWORK_PER_BUILD": true}, one.FeatureFlags)
	require.Equal(t, StringOrArray{"always"}, one.Docker.PullPolicy)
	require.Equal(t, 0, *one.Docker.ServicesLimit)
	require.Equal(t, []Service{{Name: "redis:7"}}, one.Docker.Services)
	require.Equal(t, StringOrArray{"always", "if-not-present"}, two.Docker.PullPolicy)
	require.Nil(t, two.Docker.ServicesLimit)
}

func TestDefaults(t *testing.T) {
	loaded, err := Parse([]byte("[[runners]]\nurl = \"https://x\"\ntoken = \"t\"\n[runners.docker]\n"))
	require.NoError(t, err)
	require.Equal(t, 1, loaded.Concurrent)
	require.Equal(t, 3*time.Second, loaded.Interval())
	require.Equal(t, 30*time.Second, loaded.Shutdown())
	runner := loaded.Runners[0]
	require.Equal(t, 4096*1024, runner.OutputBytes())
	require.Equal(t, 1, runner.Requests())
	require.Equal(t, 3, runner.RefusalLimit())
	require.Equal(t, time.Hour, runner.UnhealthyPause())
	require.Equal(t, 10, runner.FinalUpdates())
	require.Equal(t, 30*time.Second, runner.Docker.ServiceWait())
	runner.Docker.WaitForServicesTimeout = -1
	require.Zero(t, runner.Docker.ServiceWait())
}

const runnerHead = "[[runners]]\nname = \"x\"\nurl = \"https://x\"\ntoken = \"glrt-x\"\nexecutor = \"docker\"\n"

func TestLintFindsWhatIsWrong(t *testing.T) {
	cases := map[string]struct {
		text  string
		finds []string
	}{
		"a key of the top level":    {"concurent = 1\n" + runnerHead, []string{"1 unknown key(s) found in ", "\n  unknown key: concurent"}},
		"a key of a runner":         {runnerHead + "limits = 1\n", []string{"unknown key: runners.limits"}},
		"a key of docker":           {runnerHead + "[runners.docker]\npids_limit = 1\n", []string{"unknown key: runners.docker.pids_limit"}},
		"a key of a service":        {runnerHead + "[[runners.docker.services]]\nnam = \"x\"\n", []string{"unknown key: runners.docker.services.nam"}},
		"a number for a text":       {runnerHead + "[runners.docker]\nmemory = 4\n", []string{"decoding config: \n  runners[0].docker.memory: is an integer, must be a string"}},
		"a text for a switch":       {runnerHead + "[runners.docker]\nprivileged = \"yes\"\n", []string{"privileged: is a string, must be true or false"}},
		"a text for a list":         {runnerHead + "[runners.docker]\nvolumes = \"/cache\"\n", []string{"volumes: is a string, must be an array"}},
		"a bad element":             {runnerHead + "[runners.docker]\ncap_drop = [1]\n", []string{"cap_drop[0]: is an integer, must be a string"}},
		"a bad duration":            {runnerHead + "unhealthy_interval = \"soon\"\n", []string{`"soon" is not a duration`}},
		"a flag that is no switch":  {runnerHead + "[runners.feature_flags]\nFF_X = \"on\"\n", []string{"feature_flags.FF_X"}},
		"no url and no token":       {"[[runners]]\nname = \"x\"\n", []string{"runners[0].url: must not be empty", "runners[0].token: must not be empty"}},
		"a negative number":         {runnerHead + "request_concurrency = -1\n", []string{"config schema validation failed: \n  runners[0].request_concurrency: must be 1 or more"}},
		"another shell":             {runnerHead + "shell = \"zsh\"\n", []string{`"zsh" is not one of`}},
		"unknown and mistyped keys": {"foo = 1\n" + runnerHead + "limit = \"1\"\n", []string{"unknown key: foo", "runners[0].limit: is a string"}},
		"broken syntax":             {"concurrent = [\n", []string{"decoding config", "line 1"}},
	}
	for name, test := range cases {
		t.Run(name, func(t *testing.T) {
			err := Lint(write(t, test.text))
			require.Error(t, err)
			for _, text := range test.finds {
				require.ErrorContains(t, err, text)
			}
		})
	}
}

func TestLintAcceptsWhatIsRight(t *testing.T) {
	t.Setenv("GITLAB_URL", "https://gitlab.example.org")
	t.Setenv("TOKEN", "glrt-1")
	require.NoError(t, Lint(write(t, valid)))
	require.ErrorContains(t, Lint(filepath.Join(t.TempDir(), "none.toml")), "config file not found")
}

func TestRunIgnoresUnknownKeysButNotWrongTypes(t *testing.T) {
	loaded, err := Parse([]byte("foo = 1\n" + runnerHead))
	require.NoError(t, err)
	require.Equal(t, []Problem{{"foo", "unknown key"}}, loaded.Unknown)
	_, err = Parse([]byte("concurrent = \"many\"\n"))
	var invalid *Invalid
	require.ErrorAs(t, err, &invalid)
	require.Len(t, invalid.Problems, 1)
}

func TestRewriteKeepsWhatItDoesNotEdit(t *testing.T) {
	t.Setenv("TOKEN", "glrt-secret")
	file := write(t, "concurrent = 7\n[session_server]\nsession_timeout = 60\n"+
		"[[runners]]\nname = \"x\"\nurl = \"https://x\"\ntoken = \"$TOKEN\"\n[[runners]]\nname = \"y\"\nurl = \"https://y\"\ntoken = \"glrt-y\"\n")
	require.NoError(t, Rewrite(file, func(runners []map[string]any) []map[string]any { return runners[:1] }))
	info, err := os.Stat(file)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
	loaded, err := Load(file)
	require.NoError(t, err)
	require.Equal(t, 7, loaded.Concurrent)
	require.Equal(t, 60, loaded.SessionServer.SessionTimeout)
	require.Len(t, loaded.Runners, 1)
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Contains(t, string(text), "glrt-secret", "the environment's token is written out")
}
