package config

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestBytes(t *testing.T) {
	for text, want := range map[string]int64{
		"": 0, "-1": -1, "512": 512, "1k": 1024, "512m": 512 << 20, "4g": 4 << 30, "4G": 4 << 30,
		"1.5g": 3 << 29, "2gb": 2 << 30, "2GiB": 2 << 30, "1t": 1 << 40,
	} {
		got, err := Bytes(text)
		require.NoError(t, err, text)
		require.Equal(t, want, got, text)
	}
	for _, text := range []string{"4 gigs", "g", "-2", "4x"} {
		_, err := Bytes(text)
		require.Error(t, err, text)
	}
}

func TestNanoCPUs(t *testing.T) {
	for text, want := range map[string]int64{"": 0, "2": 2e9, "0.5": 5e8} {
		got, err := NanoCPUs(text)
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
	for _, text := range []string{"two", "-1"} {
		_, err := NanoCPUs(text)
		require.Error(t, err, text)
	}
}

func TestParseUlimit(t *testing.T) {
	limit, err := ParseUlimit("nofile", "1024")
	require.NoError(t, err)
	require.Equal(t, Ulimit{"nofile", 1024, 1024}, limit)
	limit, err = ParseUlimit("nofile", "1024:2048")
	require.NoError(t, err)
	require.Equal(t, Ulimit{"nofile", 1024, 2048}, limit)
	for _, text := range []string{"", "many", "1:many"} {
		_, err = ParseUlimit("nofile", text)
		require.Error(t, err, text)
	}
}

func TestShortTokenOpensNothing(t *testing.T) {
	for token, want := range map[string]string{
		"glrt-abcdefghijklmnop": "abcdefghi", "glrtr-abcdefghijkl": "abcdefghi", "abcdefghijkl": "abcdefghi",
		"GR1348941abcdefghijkl": "abcdefghi", "short": "short",
	} {
		require.Equal(t, want, ShortToken(token))
	}
}

func TestPullPolicies(t *testing.T) {
	cases := map[string]struct {
		configured, allowed, wanted, want []string
		fails                             string
	}{
		"always by default":                {want: []string{"always"}},
		"as configured":                    {configured: []string{"always", "if-not-present"}, want: []string{"always", "if-not-present"}},
		"repetitions are attempts":         {configured: []string{"always", "always"}, allowed: []string{"always"}, want: []string{"always", "always"}},
		"what is not allowed falls out":    {configured: []string{"always", "if-not-present"}, allowed: []string{"if-not-present"}, want: []string{"if-not-present"}},
		"the job's wish where allowed":     {configured: []string{"always"}, allowed: []string{"always", "never"}, wanted: []string{"never"}, want: []string{"never"}},
		"the job's wish, in its order":     {configured: []string{"always"}, allowed: []string{"always", "if-not-present"}, wanted: []string{"if-not-present", "always"}, want: []string{"if-not-present", "always"}},
		"the job may not what is not said": {configured: []string{"always"}, wanted: []string{"if-not-present"}, fails: "defined in GitLab pipeline config is not one of the allowed_pull_policies ([always])"},
		"nothing in common":                {configured: []string{"never"}, allowed: []string{"always"}, fails: "defined in Runner config is not one"},
		"default not allowed":              {allowed: []string{"never"}, fails: "pull_policy ([always]) defined in Runner config (default)"},
		"no such policy":                   {configured: []string{"sometimes"}, fails: `unsupported pull_policy config: "sometimes"`},
	}
	// Without an allowed list, what is configured is what is allowed.
	for name, test := range cases {
		t.Run(name, func(t *testing.T) {
			docker := &Docker{PullPolicy: test.configured, AllowedPullPolicies: test.allowed}
			got, err := docker.PullPolicies(test.wanted)
			if test.fails != "" {
				require.ErrorContains(t, err, test.fails)
				return
			}
			require.NoError(t, err)
			require.Equal(t, test.want, got)
		})
	}
}

func TestSystemIDComesFromTheMachine(t *testing.T) {
	saved := machineIDFiles
	t.Cleanup(func() { machineIDFiles = saved })
	dir := t.TempDir()
	machine := filepath.Join(dir, "machine-id")
	require.NoError(t, os.WriteFile(machine, []byte("0123456789abcdef0123456789abcdef\n"), 0o600))
	machineIDFiles = []string{filepath.Join(dir, "none"), machine}
	file := filepath.Join(dir, "config.toml")
	id, err := SystemID(file)
	require.NoError(t, err)
	// printf %s gitlab-runner | openssl dgst -sha256 -hmac 0123456789abcdef0123456789abcdef
	require.Equal(t, "s_ee3af03959fe", id)
	kept, err := os.ReadFile(filepath.Join(dir, SystemIDFile))
	require.NoError(t, err)
	require.Equal(t, id, string(kept))

	require.NoError(t, os.WriteFile(filepath.Join(dir, SystemIDFile), []byte("r_ABCDEF012345\n"), 0o600))
	id, err = SystemID(file)
	require.NoError(t, err)
	require.Equal(t, "r_ABCDEF012345", id, "a kept id stays")

	require.NoError(t, os.WriteFile(filepath.Join(dir, SystemIDFile), []byte("nonsense"), 0o600))
	machineIDFiles = nil
	id, err = SystemID(file)
	require.NoError(t, err)
	require.Regexp(t, `^r_[0-9A-Z]{12}$`, id)
}

func TestSystemIDSurvivesAFolderThatCannotBeWritten(t *testing.T) {
	id, err := SystemID(filepath.Join(t.TempDir(), "none", "config.toml"))
	require.Error(t, err)
	require.Regexp(t, systemIDPattern, id)
}
