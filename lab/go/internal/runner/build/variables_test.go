package build

import (
	"testing"

	"github.com/stretchr/testify/require"

	"gitlab-runner-proxmox/lab/internal/runner/api"
)

func TestVariables(t *testing.T) {
	all := Variables{
		{Key: "A", Value: "first"},
		{Key: "A", Value: "second"},
		{Key: "B", Value: "$A and ${A} and $$A and $NONE."},
		{Key: "RAW", Value: "$A", Raw: true},
		{Key: "FILE", Value: "content", File: true, Masked: true},
		{Key: "USES_FILE", Value: "--ca $FILE"},
		{Key: tempDirVariable, Value: "/tmp/dir"},
		{Key: "ON", Value: "true"},
		{Key: "N", Value: "7"},
	}.Expand()
	require.Equal(t, "second", all.Get("A"))
	require.Equal(t, "second and second and $A and .", all.Get("B"))
	require.Equal(t, "$A", all.Get("RAW"))
	require.Equal(t, "/tmp/dir/FILE", all.Get("FILE"))
	require.Equal(t, "--ca /tmp/dir/FILE", all.Get("USES_FILE"))
	require.True(t, all.Bool("ON"))
	require.False(t, all.Bool("A"))
	require.Equal(t, 7, all.Int("N", 1))
	require.Equal(t, 1, all.Int("NONE", 1))
	require.Equal(t, []string{"content"}, all.Masked())
	require.Contains(t, all.Environment(), "FILE=/tmp/dir/FILE")
}

func TestServicesSeeOnlyPublicVariables(t *testing.T) {
	all := Variables{{Key: "SECRET"}, {Key: "PUBLIC", Public: true}, {Key: "OWN", Internal: true}}
	require.Equal(t, []string{"PUBLIC=", "OWN="}, all.ForServices().Environment())
}

func TestFlagsOfTheFileCountBeforeTheJobs(t *testing.T) {
	job := Variables{
		{Key: FlagNetworkPerBuild, Value: "true"}, {Key: FlagInit, Value: "true"}, {Key: FlagTimestamps, Value: "false"},
		{Key: FlagJobCleanup, Value: "maybe"},
	}
	flags := resolveFlags(map[string]bool{FlagInit: false}, job)
	require.True(t, flags[FlagNetworkPerBuild])
	require.False(t, flags[FlagInit])
	require.False(t, flags[FlagTimestamps])
	require.False(t, flags[FlagJobCleanup])
	require.True(t, flags[FlagMaskDefaultTokens])
}

func TestKnowsTheOwnVariables(t *testing.T) {
	b := newBuild(t, func(job *api.Job) {
		job.CAChain = "chain"
		job.Variables = append(job.Variables,
			api.Variable{Key: "CI_JOB_STATUS", Value: "running"}, api.Variable{Key: FlagInit, Value: "true"})
	})
	b.Runner.Environment = []string{"FROM_FILE=a=b", "nonsense"}
	all := b.Variables()
	for key, want := range map[string]string{
		"CI_PROJECT_DIR": b.RootDir() + "/group/app", "CI_BUILDS_DIR": b.RootDir(), "CI_CONCURRENT_ID": "0",
		"CI_JOB_STATUS": "running", "CI_JOB_TIMEOUT": "600", "CI_SERVER": "yes", "CI_RUNNER_VERSION": "19.3.0",
		"CI_DISPOSABLE_ENVIRONMENT": "true", "FROM_FILE": "a=b", FlagInit: "true",
		"CI_SERVER_TLS_CA_FILE": b.RootDir() + "/group/app.tmp/CI_SERVER_TLS_CA_FILE",
	} {
		require.Equal(t, want, all.Get(key), key)
	}
	b.setStatus("failed")
	require.Equal(t, "failed", b.Variables().Get("CI_JOB_STATUS"))
}
