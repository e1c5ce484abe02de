package docker

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
	"github.com/stretchr/testify/require"

	"gitlab-runner-proxmox/lab/internal/runner/api"
	"gitlab-runner-proxmox/lab/internal/runner/build"
	"gitlab-runner-proxmox/lab/internal/runner/config"
	"gitlab-runner-proxmox/lab/internal/runner/engine"
)

func TestRunsAJobInTwoContainers(t *testing.T) {
	f, host := newFakeEngine(t)
	f.behave = func(c *container, _ string) (string, int, bool) {
		if strings.HasSuffix(c.Name, "-build") {
			return "hello hunter2\n", 0, false
		}
		return "", 0, false
	}
	result, log := f.run(t, host, config.Docker{Volumes: []string{"/cache", "/host:/in:ro"}}, nil)
	require.NoError(t, result.Err, log)
	require.Contains(t, log, "Using Docker executor with image debian:trixie-slim ...")
	require.Contains(t, log, "Using docker image sha256:debian for debian:trixie-slim ...")
	require.Contains(t, log, "hello [MASKED]\n")
	job, helper := f.made(t, "-build"), f.made(t, "-predefined")
	require.Regexp(t, `^runner-abcdefghi-project-3-concurrent-0-[0-9a-f]{16}-build$`, job.Name)
	require.Equal(t, "sha256:debian", job.Image)
	require.Equal(t, "sha256:helper", helper.Image)
	require.Len(t, job.stdin, 1)
	require.Contains(t, job.stdin[0], "echo hello")
	require.Contains(t, job.Env, "SECRET=hunter2")
	require.Equal(t, "true", job.Labels["com.gitlab.gitlab-runner.managed"])
	require.Equal(t, "build", job.Labels["com.gitlab.gitlab-runner.type"])
	require.Equal(t, "predefined", helper.Labels["com.gitlab.gitlab-runner.type"])
	require.Equal(t, "7", job.Labels["com.gitlab.gitlab-runner.job.id"])
	require.Equal(t, []string{"gitlab-runner-build"}, helper.Cmd)
	require.Empty(t, helper.Entrypoint, "the helper image has its own")
	require.Len(t, helper.stdin, 3, "one container serves all stages of the helper")
	binds := job.HostConfig.Binds
	require.Len(t, binds, 3)
	require.Regexp(t, `^runner-[0-9a-f]{64}-cache-[0-9a-f]{32}:/cache$`, binds[0])
	require.Equal(t, "/host:/in:ro", binds[1])
	require.Regexp(t, `^runner-abcdefghi-project-3-concurrent-0-[0-9a-f]{16}-cache-[0-9a-f]{32}:/builds$`, binds[2])
	opened := f.made(t, "-cache-init")
	require.Equal(t, []string{"gitlab-runner-helper", "cache-init", "/cache", "/builds"}, opened.Cmd)
	require.Len(t, f.volumes, 1, "the cache stays, the builds go")
}

func TestProtectedCachesAreApart(t *testing.T) {
	f, host := newFakeEngine(t)
	yes := true
	_, _ = f.run(t, host, config.Docker{}, func(job *api.Job, _ *config.Runner) {
		job.Variables = nil
		job.AllowGitFetch, job.GitInfo.Protected = true, &yes
		job.GitInfo.Sha = "0123456789"
	})
	for name, labels := range f.volumes {
		require.True(t, strings.HasSuffix(name, "-protected"), name)
		require.Equal(t, "/builds", labels["com.gitlab.gitlab-runner.destination"])
	}
	require.Len(t, f.volumes, 1, "a job that fetches leaves its builds for the next")
}

func TestExitStatusIsTheJobs(t *testing.T) {
	f, host := newFakeEngine(t)
	f.behave = func(c *container, _ string) (string, int, bool) {
		if strings.HasSuffix(c.Name, "-build") {
			return "", 42, false
		}
		return "", 0, false
	}
	result, log := f.run(t, host, config.Docker{}, nil)
	require.Equal(t, api.ScriptFailure, result.FailureReason)
	require.Equal(t, 42, result.ExitCode)
	require.Contains(t, log, "ERROR: Job failed: exit code 42")
}

func TestLimitsOfTheJob(t *testing.T) {
	f, host := newFakeEngine(t)
	services := false
	result, log := f.run(t, host, config.Docker{
		Memory: "512m", MemorySwap: "512m", CPUs: "1.5", ShmSize: 1 << 26, CgroupParent: "ci.slice",
		CapDrop: []string{"NET_RAW"}, CapAdd: []string{"SYS_PTRACE"}, SecurityOpt: []string{"no-new-privileges:true"},
		ServicesSecurityOpt: []string{"seccomp=x"}, Ulimit: map[string]string{"nproc": "100", "nofile": "1:2"},
		ExtraHosts: []string{"a:1.2.3.4"}, DNS: []string{"9.9.9.9"}, Sysctls: map[string]string{"a": "b"},
		Devices: []string{"/dev/kvm"}, Gpus: "all", Privileged: true, ServicesPrivileged: &services,
		ServiceMemory: "128m", ServiceCPUs: "0.5", NetworkMTU: 1400, EnableIPv6: true,
		ContainerLabels: map[string]string{"own": "$CI_JOB_NAME-x"}, LogOptions: map[string]string{"env": "A"},
		AllowedPrivilegedServices: []string{"docker:*"}, Hostname: "h",
		Services: []config.Service{{Name: "redis:7", Alias: "cache", Environment: []string{"S=1"}, Command: []string{"run"}}},
	}, func(job *api.Job, runner *config.Runner) {
		runner.FeatureFlags = map[string]bool{build.FlagNetworkPerBuild: true, build.FlagInit: true}
		job.Variables = append(job.Variables, api.Variable{Key: "CI_JOB_NAME", Value: "test"})
	})
	require.NoError(t, result.Err, log)
	require.Contains(t, log, "feature flags: FF_NETWORK_PER_BUILD:true, FF_USE_INIT_WITH_DOCKER_EXECUTOR:true")
	job, service := f.made(t, "-build"), f.made(t, "-redis-0")
	h := job.HostConfig
	require.EqualValues(t, 512<<20, h.Memory)
	require.EqualValues(t, 512<<20, h.MemorySwap)
	require.EqualValues(t, 15e8, h.NanoCPUs)
	require.EqualValues(t, 1<<26, h.ShmSize)
	require.Equal(t, "ci.slice", h.CgroupParent)
	require.Equal(t, []string{"NET_RAW"}, h.CapDrop)
	require.Equal(t, []string{"SYS_PTRACE"}, h.CapAdd)
	require.Equal(t, []string{"no-new-privileges:true"}, h.SecurityOpt)
	require.Equal(t, []engine.Ulimit{{Name: "nofile", Soft: 1, Hard: 2}, {Name: "nproc", Soft: 100, Hard: 100}}, h.Ulimits)
	require.Equal(t, []string{"a:1.2.3.4"}, h.ExtraHosts)
	require.Equal(t, []engine.Device{{PathOnHost: "/dev/kvm", PathInContainer: "/dev/kvm", CgroupPermissions: "rwm"}}, h.Devices)
	require.Equal(t, -1, h.DeviceRequests[0].Count)
	require.True(t, h.Privileged)
	require.True(t, *h.Init)
	require.Nil(t, f.made(t, "-predefined").HostConfig.Init)
	require.Equal(t, "test-x", job.Labels["own"])
	require.Equal(t, engine.LogConfig{Type: "json-file", Config: map[string]string{"env": "A"}}, h.LogConfig)

	s := service.HostConfig
	require.EqualValues(t, 128<<20, s.Memory)
	require.EqualValues(t, 5e8, s.NanoCPUs)
	require.False(t, s.Privileged)
	require.Empty(t, s.CapDrop, "services do not get the job's capabilities")
	require.Empty(t, s.Ulimits)
	require.Equal(t, []string{"seccomp=x"}, s.SecurityOpt)
	require.Equal(t, h.Binds, s.Binds, "but its volumes")
	require.Equal(t, []string{"run"}, service.Cmd)
	require.Contains(t, service.Env, "S=1")
	require.Contains(t, service.Env, "SHOWN=1")
	require.NotContains(t, service.Env, "SECRET=hunter2")
	for network, endpoint := range service.NetworkingConfig.EndpointsConfig {
		require.Regexp(t, `-job-7-network$`, network)
		require.Equal(t, []string{"redis", "cache"}, endpoint.Aliases)
		require.Equal(t, network, h.NetworkMode)
	}
	wait := f.made(t, "-wait-for-service")
	require.Equal(t, []string{"gitlab-runner-helper", "health-check", "--port", "6379"}, wait.Cmd)
	require.Equal(t, []string{"WAIT_FOR_SERVICE_TCP_ADDR=" + service.ID[:12]}, wait.Env)
}

func TestServicesOnTheDefaultNetworkAreFoundByHosts(t *testing.T) {
	f, host := newFakeEngine(t)
	result, log := f.run(t, host, config.Docker{}, func(job *api.Job, _ *config.Runner) {
		job.Services = []api.Image{{Name: "redis:7", Alias: "one two"}}
	})
	require.NoError(t, result.Err, log)
	require.Equal(t, []string{"redis:172.17.0.9", "one:172.17.0.9", "two:172.17.0.9"}, f.made(t, "-build").HostConfig.ExtraHosts)
}

func TestWarnsOfAServiceThatDoesNotAnswer(t *testing.T) {
	f, host := newFakeEngine(t)
	f.behave = func(c *container, _ string) (string, int, bool) {
		if strings.HasSuffix(c.Name, "-wait-for-service") {
			return "", 1, false
		}
		return "", 0, false
	}
	result, log := f.run(t, host, config.Docker{}, func(job *api.Job, _ *config.Runner) {
		job.Services = []api.Image{{Name: "redis:7"}}
	})
	require.NoError(t, result.Err)
	require.Contains(t, log, "probably didn't start properly.")
	require.Contains(t, log, "service log")
}

func TestServiceNames(t *testing.T) {
	for image, want := range map[string][]string{
		"redis":                          {"redis", "latest", "redis"},
		"redis:7":                        {"redis", "7", "redis"},
		"docker.io/library/redis:7":      {"docker.io/library/redis", "7", "docker.io__library__redis", "docker.io-library-redis"},
		"host:5000/group/image":          {"host:5000/group/image", "latest", "host__group__image", "host-group-image"},
		"redis@sha256:abc":               {"redis", "@sha256:abc", "redis"},
		"host:5000/group/image:1@sha256": {"host:5000/group/image", "@sha256", "host__group__image", "host-group-image"},
	} {
		name, version := serviceName(image)
		require.Equal(t, want[:2], []string{name, version}, image)
		require.Equal(t, want[2:], aliases(name, api.Image{}), image)
	}
}

func TestAllowedImages(t *testing.T) {
	for name, test := range map[string]struct {
		allowed []string
		image   string
		fails   bool
	}{
		"no list allows anything":       {nil, "alpine:3.22", false},
		"a tag":                         {[]string{"alpine:*"}, "alpine:3.22", false},
		"another image":                 {[]string{"debian:*"}, "alpine:3.22", true},
		"no tag is no match":            {[]string{"alpine:*"}, "alpine", true},
		"a star does not cross a slash": {[]string{"*"}, "docker.io/library/alpine:3.22", true},
		"two stars do":                  {[]string{"docker.io/**/*:*"}, "docker.io/library/alpine:3.22", false},
		"the default image, always":     {[]string{"nothing"}, "debian:trixie-slim", false},
	} {
		t.Run(name, func(t *testing.T) {
			b, log, _ := newBuild("", config.Docker{AllowedImages: test.allowed}, nil)
			image, err := New(b, log).allowedImage(test.image)
			if test.fails {
				require.ErrorIs(t, err, errDisallowed)
				return
			}
			require.NoError(t, err)
			require.Equal(t, test.image, image)
		})
	}
	b, log, _ := newBuild("", config.Docker{}, nil)
	image, err := New(b, log).allowedImage("")
	require.NoError(t, err)
	require.Equal(t, "debian:trixie-slim", image)
}

func TestAllowedServicesAndTheirNumber(t *testing.T) {
	two := 2
	for name, test := range map[string]struct {
		docker   config.Docker
		services []string
		fails    string
	}{
		"allowed":            {config.Docker{AllowedServices: []string{"redis:*"}}, []string{"redis:7"}, ""},
		"not allowed":        {config.Docker{AllowedServices: []string{"redis:*"}}, []string{"postgres:16"}, "disallowed image"},
		"the file's own":     {config.Docker{AllowedServices: []string{"x"}, Services: []config.Service{{Name: "redis:7"}}}, []string{"redis:7"}, ""},
		"not too many":       {config.Docker{ServicesLimit: &two}, []string{"a", "b"}, ""},
		"too many":           {config.Docker{ServicesLimit: &two}, []string{"a", "b", "c"}, "too many services requested: 3, only 2 allowed"},
		"no limit":           {config.Docker{}, []string{"a", "b", "c"}, ""},
		"too many with ours": {config.Docker{ServicesLimit: &two, Services: []config.Service{{Name: "redis:7"}}}, []string{"a", "b"}, "too many"},
	} {
		t.Run(name, func(t *testing.T) {
			b, log, _ := newBuild("", test.docker, func(job *api.Job, _ *config.Runner) {
				for _, service := range test.services {
					job.Services = append(job.Services, api.Image{Name: service})
				}
			})
			_, err := New(b, log).definitions()
			if test.fails == "" {
				require.NoError(t, err)
			} else {
				require.ErrorContains(t, err, test.fails)
			}
		})
	}
}

func TestPrivilegedOnlyWhereAllowed(t *testing.T) {
	b, log, _ := newBuild("", config.Docker{Privileged: true, AllowedPrivilegedImages: []string{"docker:*"}, AllowedPrivilegedServices: []string{"docker:*-dind"}}, nil)
	e := New(b, log)
	for image, want := range map[string]bool{"docker:29": true, "alpine:3.22": false} {
		b.Job.Image.Name = image
		host, err := e.hostConfig(true)
		require.NoError(t, err)
		require.Equal(t, want, host.Privileged, image)
	}
	for image, want := range map[string]bool{"docker:29-dind": true, "redis:7": false} {
		host, err := e.serviceHostConfig(api.Image{Name: image})
		require.NoError(t, err)
		require.Equal(t, want, host.Privileged, image)
	}
}

func TestAllowedUsers(t *testing.T) {
	b, log, _ := newBuild("", config.Docker{AllowedUsers: []string{"1000"}}, nil)
	e := New(b, log)
	for user, fails := range map[string]bool{"": false, "1000": false, "root": true} {
		got, err := e.user(api.DockerOptions{User: user})
		require.Equal(t, fails, err != nil, user)
		if !fails {
			require.Equal(t, user, got)
		}
	}
	e.docker.User, e.docker.AllowedUsers = "nobody", nil
	got, err := e.user(api.DockerOptions{User: "root"})
	require.NoError(t, err)
	require.Equal(t, "nobody", got, "the file counts before the job")
}

func TestPullPolicies(t *testing.T) {
	for name, test := range map[string]struct {
		policies []string
		image    string
		pulls    []string
		id       string
		reason   api.FailureReason
	}{
		"always pulls":                  {[]string{"always"}, "debian:trixie-slim", []string{"debian:trixie-slim"}, "sha256:newer", ""},
		"not when it is there":          {[]string{"if-not-present"}, "debian:trixie-slim", nil, "sha256:debian", ""},
		"when it is not there":          {[]string{"if-not-present"}, "alpine:3.22", []string{"alpine:3.22"}, "sha256:alpine", ""},
		"never pulls":                   {[]string{"never"}, "alpine:3.22", nil, "", api.ImagePullFailure},
		"falls back to what is there":   {[]string{"always", "if-not-present"}, "local:1", []string{"local:1"}, "sha256:local", ""},
		"tries as often as it is said":  {[]string{"always", "always"}, "none:1", []string{"none:1", "none:1"}, "", api.ImagePullFailure},
		"an image that is nowhere fail": {[]string{"always"}, "none:1", []string{"none:1"}, "", api.ImagePullFailure},
	} {
		t.Run(name, func(t *testing.T) {
			f, host := newFakeEngine(t)
			f.images["local:1"] = "sha256:local"
			result, log := f.run(t, host, config.Docker{PullPolicy: test.policies}, func(job *api.Job, _ *config.Runner) {
				job.Image.Name = test.image
			})
			require.Equal(t, test.reason, result.FailureReason, log)
			require.Equal(t, test.pulls, f.pulls[:min(len(f.pulls), len(test.pulls))])
			if test.reason == "" {
				require.Equal(t, test.id, f.made(t, "-build").Image)
			} else {
				require.Contains(t, log, "failed to pull image")
			}
		})
	}
}

func TestHelperImageComesFromThePackage(t *testing.T) {
	f, host := newFakeEngine(t)
	b, log, _ := newBuild(host, config.Docker{}, nil)
	e := New(b, log)
	e.reset()
	require.NoError(t, e.connect(t.Context()))
	name, prebuilt := e.helperImage()
	require.Equal(t, "registry.gitlab.com/gitlab-org/gitlab-runner/gitlab-runner-helper:x86_64-v19.3.0", name)
	require.Equal(t, "prebuilt-alpine-x86_64", prebuilt)
	e.docker.HelperImageFlavor = "ubuntu"
	flavored, prebuilt := e.helperImage()
	require.True(t, strings.HasSuffix(flavored, ":ubuntu-x86_64-v19.3.0"))
	require.Equal(t, "prebuilt-ubuntu-x86_64", prebuilt)

	archive := filepath.Join(t.TempDir(), "helper.docker.tar.zst")
	file, err := os.Create(archive)
	require.NoError(t, err)
	writer, err := zstd.NewWriter(file)
	require.NoError(t, err)
	_, err = writer.Write([]byte("archive"))
	require.NoError(t, err)
	require.NoError(t, writer.Close())
	_, err = file.Seek(0, 0)
	require.NoError(t, err)
	delete(f.images, name)
	require.NoError(t, e.loadZstd(t.Context(), file, name))
	require.Equal(t, "archive", string(f.loaded))
	require.Equal(t, "sha256:loaded", f.images[name])
}

func TestOwnHelperImage(t *testing.T) {
	f, host := newFakeEngine(t)
	f.images["registry.example.org/helper:19.3.0"] = "sha256:own"
	result, log := f.run(t, host, config.Docker{HelperImage: "registry.example.org/helper:${CI_RUNNER_VERSION}"}, nil)
	require.NoError(t, result.Err)
	require.Equal(t, "sha256:own", f.made(t, "-predefined").Image)
	require.Contains(t, log, "(overridden, default would be")
}

func TestCredentials(t *testing.T) {
	t.Setenv("HOME", t.TempDir())
	b, log, _ := newBuild("", config.Docker{}, func(job *api.Job, _ *config.Runner) {
		job.Credentials = []api.Credentials{{Type: "registry", URL: "registry.example.org", Username: "gitlab-ci-token", Password: "p"}}
		// user:secret
		job.Variables = append(job.Variables, api.Variable{Key: "DOCKER_AUTH_CONFIG", Raw: true,
			Value: `{"auths":{"https://index.docker.io/v1/":{"auth":"dXNlcjpzZWNyZXQ="}}}`})
	})
	e := New(b, log)
	for image, want := range map[string]string{
		"registry.example.org/group/image:1": "gitlab-ci-token/p from job payload (GitLab Registry)",
		"alpine:3.22":                        "user/secret from $DOCKER_AUTH_CONFIG",
		"library/alpine":                     "user/secret from $DOCKER_AUTH_CONFIG",
		"other.example.org/x":                "",
		"localhost/x":                        "",
	} {
		auth, source, err := e.credentials(image)
		require.NoError(t, err)
		got := ""
		if auth != nil {
			got = auth.Username + "/" + auth.Password + " from " + source
		}
		require.Equal(t, want, got, image)
	}
}

func TestAbortKillsAndRemoves(t *testing.T) {
	f, host := newFakeEngine(t)
	started := make(chan struct{})
	f.behave = func(c *container, _ string) (string, int, bool) {
		if strings.HasSuffix(c.Name, "-build") {
			close(started)
			return "begun\n", 0, true
		}
		return "", 0, false
	}
	b, log, _ := newBuild(host, config.Docker{}, nil)
	ctx, abort := context.WithCancelCause(t.Context())
	go func() {
		<-started
		abort(build.ErrCanceled)
	}()
	result := b.Run(ctx, New(b, log), log)
	require.Equal(t, api.JobCanceled, result.FailureReason)
	require.Equal(t, 1, f.execs, "the processes were asked to end first")
	require.Empty(t, f.left())
}

func TestScriptTimeoutLeavesTheContainerForAfterScript(t *testing.T) {
	f, host := newFakeEngine(t)
	f.behave = func(c *container, script string) (string, int, bool) {
		return "", 0, strings.HasSuffix(c.Name, "-build") && strings.Contains(script, "sleep")
	}
	started := time.Now()
	b, log, buffer := newBuild(host, config.Docker{}, func(job *api.Job, _ *config.Runner) {
		job.Steps[0].Script = []string{"sleep 100"}
		job.Steps = append(job.Steps, api.Step{Name: "after_script", Script: []string{"echo after"}})
		job.Variables = append(job.Variables, api.Variable{Key: "RUNNER_SCRIPT_TIMEOUT", Value: "50ms"})
	})
	result := b.Run(t.Context(), New(b, log), log)
	require.NoError(t, log.Close())
	require.Equal(t, api.JobExecutionTimeout, result.FailureReason)
	require.NotContains(t, string(buffer.Part(0, 1<<20)), "after_script failed")
	require.Less(t, time.Since(started), 10*time.Second)
	require.Empty(t, f.left())
}

func TestEnginesRefusalIsASystemFailure(t *testing.T) {
	f, host := newFakeEngine(t)
	f.refuse = "NanoCPUs can not be set"
	b, log, _ := newBuild(host, config.Docker{}, nil)
	e := New(b, log)
	err := e.Prepare(t.Context())
	require.ErrorContains(t, err, "Error response from daemon: NanoCPUs can not be set")
	var known *build.Error
	require.False(t, errors.As(err, &known), "it is tried again")
	e.Cleanup()
}

func TestVolumes(t *testing.T) {
	f, host := newFakeEngine(t)
	b, log, _ := newBuild(host, config.Docker{}, nil)
	e := New(b, log)
	e.reset()
	require.NoError(t, e.connect(t.Context()))
	require.NoError(t, e.createVolume(t.Context(), "relative"))
	require.True(t, e.volumes.places["/builds/group/app/relative"])
	require.ErrorIs(t, e.createVolume(t.Context(), "/a:/builds/group/app/relative"), errTaken)
	require.Error(t, e.createVolume(t.Context(), "a:b:c:d:e"))
	e.docker.CacheDir = "/srv/cache"
	require.NoError(t, e.createVolume(t.Context(), "/kept"))
	require.Regexp(t, `^/srv/cache/runner-abcdefghi-project-3-concurrent-0/cache-[0-9a-f]{32}:/kept$`, e.volumes.binds[1])
	e.docker.DisableCache = true
	require.NoError(t, e.createVolume(t.Context(), "/not"))
	require.Len(t, e.volumes.binds, 2)
	require.Len(t, f.volumes, 1)
}
