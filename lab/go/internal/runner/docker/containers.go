package docker

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sort"
	"strconv"
	"strings"
	"time"

	"gitlab-runner-proxmox/lab/internal/runner/api"
	"gitlab-runner-proxmox/lab/internal/runner/build"
	"gitlab-runner-proxmox/lab/internal/runner/config"
	"gitlab-runner-proxmox/lab/internal/runner/engine"
	"gitlab-runner-proxmox/lab/internal/runner/joblog"
	"gitlab-runner-proxmox/lab/internal/runner/shell"
)

// graceful is how long processes that were asked to end may take.
const graceful = 10 * time.Second

// Run implements build.Executor.
func (e *Executor) Run(ctx context.Context, stage build.Stage, script string) error {
	e.b.SetExecutorStage(stageRun)
	kind := typeBuild
	if stage.Predefined() {
		kind = typePredefined
	}
	id, err := e.container(ctx, kind)
	if err != nil {
		return err
	}
	code, err := e.feed(ctx, id, kind, script)
	if ctx.Err() != nil {
		// What was cut off cannot be used again.
		delete(e.containers, kind)
		return context.Cause(ctx)
	}
	if err != nil {
		return err
	}
	if code != 0 {
		return build.ExitError(code)
	}
	return nil
}

// container is the build's container of a kind; each is made once and started for every stage.
func (e *Executor) container(ctx context.Context, kind string) (string, error) {
	if id, ok := e.containers[kind]; ok {
		return id, nil
	}
	spec, err := e.spec(ctx, kind)
	if err != nil {
		return "", err
	}
	// One of this name would be left from a build that was cut off.
	_ = e.remove(ctx, spec.Name)
	id, err := e.create(ctx, spec)
	if err != nil {
		return "", err
	}
	e.containers[kind] = id
	return id, nil
}

// feed starts a container with a script on its standard input, and waits for its end.
func (e *Executor) feed(ctx context.Context, id, kind, script string) (int, error) {
	attached, err := e.client.Attach(ctx, id)
	if err != nil {
		return 0, err
	}
	defer attached.Close()
	if err := e.client.StartContainer(ctx, id); err != nil {
		return 0, err
	}
	stopped := make(chan struct{})
	unwatch := context.AfterFunc(ctx, func() {
		defer close(stopped)
		e.stop(id, kind)
		_ = attached.Close()
	})
	go func() {
		_, _ = attached.Write([]byte(script))
		_ = attached.CloseWrite()
	}()
	stdout, stderr := e.log.Stream(joblog.Work, 'O'), e.log.Stream(joblog.Work, 'E')
	copying := attached.Copy(stdout, stderr)
	closing := errors.Join(stdout.Close(), stderr.Close())
	code, err := e.client.WaitContainer(ctx, id)
	if !unwatch() {
		<-stopped
		return 0, context.Cause(ctx)
	}
	if closing != nil {
		return 0, closing
	}
	if err != nil {
		return 0, err
	}
	return code, copying
}

// stop ends a container: the job's processes are asked first.
func (e *Executor) stop(id, kind string) {
	ctx, cancel := context.WithTimeout(context.Background(), cleanupTimeout)
	defer cancel()
	if kind == typeBuild {
		asking, done := context.WithTimeout(ctx, graceful)
		_, _ = e.client.Exec(asking, id, []string{"sh", "-c", shell.Terminate}, discard{})
		done()
	}
	_ = e.client.KillContainer(ctx, id, "SIGKILL")
	if err := e.remove(ctx, id); err != nil {
		e.b.Log.WithError(err).Warning("Failed to remove container", id)
	}
}

type discard struct{}

func (discard) Write(data []byte) (int, error) { return len(data), nil }

func (e *Executor) spec(ctx context.Context, kind string) (engine.Spec, error) {
	host, err := e.hostConfig(kind == typeBuild)
	if err != nil {
		return engine.Spec{}, systemFailure(err)
	}
	name := e.unique + "-" + kind
	hostname := e.docker.Hostname
	if hostname == "" {
		hostname = e.b.UniqueName()
	}
	spec := engine.Spec{
		Name: name,
		Config: engine.Config{
			Hostname: hostname, AttachStdin: true, AttachStdout: true, AttachStderr: true,
			OpenStdin: true, StdinOnce: true, Env: e.b.Variables().Environment(),
			Cmd: []string{"sh", "-c", shell.Detect}, Labels: e.containerLabels(kind, nil),
		},
		Host:    host,
		Network: e.networkConfig([]string{"build", name}),
	}
	if less144(e.client.APIVersion) {
		spec.Config.MacAddress = e.docker.MacAddress
	}
	if kind == typePredefined {
		spec.Config.Image = e.helper.ID
		spec.Config.Cmd = []string{buildBinary}
		return spec, nil
	}
	options := e.b.Job.Image.Options.Docker
	image, err := e.bring(ctx, e.image, options.Platform, e.b.Job.Image.PullPolicies)
	if err != nil {
		return engine.Spec{}, err
	}
	spec.Config.Image = image.ID
	spec.Config.Entrypoint = e.entrypoint(e.b.Job.Image)
	if spec.Config.User, err = e.user(options); err != nil {
		return engine.Spec{}, err
	}
	if options.Platform != "" {
		spec.Platform = image.OS + "/" + image.Architecture
	}
	return spec, nil
}

func less144(version string) bool {
	minor, err := strconv.Atoi(strings.TrimPrefix(version, "1."))
	return err == nil && minor < 44
}

func (e *Executor) entrypoint(image api.Image) []string {
	if len(image.Entrypoint) > 0 && e.docker.DisableEntrypointOverwrite {
		e.log.Warning("Entrypoint override disabled")
		return nil
	}
	return image.Entrypoint
}

func (e *Executor) user(options api.DockerOptions) (string, error) {
	user := e.docker.User
	if user == "" {
		user = e.expand(options.User)
	}
	if user != "" && len(e.docker.AllowedUsers) > 0 && !slices.Contains(e.docker.AllowedUsers, user) {
		return "", fmt.Errorf("user %q is not an allowed user: %v", user, e.docker.AllowedUsers)
	}
	return user, nil
}

func (e *Executor) logConfig() engine.LogConfig {
	return engine.LogConfig{Type: "json-file", Config: e.docker.LogOptions}
}

// hostConfig is what a build's own containers may have of the machine.
func (e *Executor) hostConfig(isBuild bool) (engine.HostConfig, error) {
	d := e.docker
	limits, err := limitsOf(d.Memory, d.MemorySwap, d.MemoryReservation, d.CPUs)
	if err != nil {
		return engine.HostConfig{}, err
	}
	ulimits, err := ulimitsOf(d.Ulimit)
	if err != nil {
		return engine.HostConfig{}, err
	}
	devices, err := devicesOf(d.Devices)
	if err != nil {
		return engine.HostConfig{}, err
	}
	gpus, err := gpusOf(d.Gpus)
	if err != nil {
		return engine.HostConfig{}, err
	}
	var init *bool
	if isBuild && e.b.Flag(build.FlagInit) {
		yes := true
		init = &yes
	}
	image := e.b.Job.Image.Name
	privileged := d.Privileged && (len(d.AllowedPrivilegedImages) == 0 || matchesAny(d.AllowedPrivilegedImages, image))
	return engine.HostConfig{
		Memory: limits.memory, MemorySwap: limits.swap, MemoryReservation: limits.reservation, NanoCPUs: limits.nanoCPUs,
		CgroupParent: d.CgroupParent, CpusetCPUs: d.CpusetCPUs, CpusetMems: d.CpusetMems, CPUShares: d.CPUShares,
		Devices: devices, DeviceRequests: gpus, DeviceCgroupRules: d.DeviceCgroupRules,
		OomKillDisable: d.OomKillDisable, OomScoreAdj: d.OomScoreAdjust, Ulimits: ulimits,
		DNS: d.DNS, DNSSearch: d.DNSSearch, ExtraHosts: append(append([]string{}, d.ExtraHosts...), e.links...),
		Links: d.Links, NetworkMode: e.networkMode, IPCMode: d.IPCMode, PIDMode: d.PIDMode,
		Privileged: privileged, UsernsMode: d.UsernsMode, GroupAdd: d.GroupAdd,
		CapAdd: d.CapAdd, CapDrop: d.CapDrop, SecurityOpt: d.SecurityOpt, Sysctls: d.Sysctls,
		Runtime: d.Runtime, Isolation: d.Isolation, Init: init, ShmSize: d.ShmSize, Tmpfs: d.Tmpfs,
		Binds: e.volumes.binds, VolumeDriver: d.VolumeDriver, VolumesFrom: d.VolumesFrom,
		RestartPolicy: engine.RestartPolicy{Name: "no"}, LogConfig: e.logConfig(),
	}, nil
}

type limits struct{ memory, swap, reservation, nanoCPUs int64 }

func limitsOf(memory, swap, reservation, cpus string) (limits, error) {
	var l limits
	var err error
	for _, size := range []struct {
		name, text string
		into       *int64
	}{{"memory", memory, &l.memory}, {"memory_swap", swap, &l.swap}, {"memory_reservation", reservation, &l.reservation}} {
		if *size.into, err = config.Bytes(size.text); err != nil {
			return l, fmt.Errorf("%s: %w", size.name, err)
		}
	}
	if l.nanoCPUs, err = config.NanoCPUs(cpus); err != nil {
		return l, fmt.Errorf("cpus: %w", err)
	}
	return l, nil
}

func ulimitsOf(table map[string]string) ([]engine.Ulimit, error) {
	var list []engine.Ulimit
	for name, value := range table {
		limit, err := config.ParseUlimit(name, value)
		if err != nil {
			return nil, err
		}
		list = append(list, engine.Ulimit(limit))
	}
	sort.Slice(list, func(a, b int) bool { return list[a].Name < list[b].Name })
	return list, nil
}

func devicesOf(list []string) ([]engine.Device, error) {
	var devices []engine.Device
	for _, text := range list {
		parts := strings.Split(text, ":")
		if len(parts) > 3 {
			return nil, fmt.Errorf("failed to parse device string %q: too many colons", text)
		}
		device := engine.Device{PathOnHost: parts[0], PathInContainer: parts[0], CgroupPermissions: "rwm"}
		if len(parts) > 1 {
			device.PathInContainer = parts[1]
		}
		if len(parts) > 2 {
			device.CgroupPermissions = parts[2]
		}
		devices = append(devices, device)
	}
	return devices, nil
}

// gpusOf reads `all`, a number, or `device=ID,…`.
func gpusOf(text string) ([]engine.DeviceRequest, error) {
	text = strings.TrimSpace(text)
	if text == "" {
		return nil, nil
	}
	request := engine.DeviceRequest{Capabilities: [][]string{{"gpu"}}}
	if ids, found := strings.CutPrefix(strings.Trim(text, `"`), "device="); found {
		request.DeviceIDs = strings.Split(ids, ",")
	} else if text == "all" {
		request.Count = -1
	} else {
		count, err := strconv.Atoi(text)
		if err != nil {
			return nil, fmt.Errorf("parsing gpus string %q: %w", text, err)
		}
		request.Count = count
	}
	return []engine.DeviceRequest{request}, nil
}
