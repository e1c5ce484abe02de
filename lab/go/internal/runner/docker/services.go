package docker

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"sort"
	"strconv"
	"strings"
	"sync"
	"time"

	"gitlab-runner-proxmox/lab/internal/runner/api"
	"gitlab-runner-proxmox/lab/internal/runner/build"
	"gitlab-runner-proxmox/lab/internal/runner/engine"
)

// service is a container that runs beside the job's.
type service struct {
	id    string
	name  string
	ip    string
	ports []int
}

// serviceName takes an image's name apart: what it is called without a version, and the version.
func serviceName(image string) (name, version string) {
	if name, digest, found := strings.Cut(image, "@"); found {
		base, _ := splitVersion(name)
		return base, "@" + digest
	}
	return splitVersion(image)
}

func splitVersion(image string) (name, version string) {
	colon := strings.LastIndex(image, ":")
	if colon < 0 || strings.Contains(image[colon:], "/") {
		return image, "latest"
	}
	return image[:colon], image[colon+1:]
}

// aliases are the host names of a service: those of its image, and those that the job asks for.
func aliases(name string, definition api.Image) []string {
	host, rest, found := strings.Cut(name, "/")
	if found && strings.Contains(host, ":") {
		// A host name has no port.
		host, _, _ = strings.Cut(host, ":")
		name = host + "/" + rest
	}
	list := []string{strings.ReplaceAll(name, "/", "__")}
	if dashed := strings.ReplaceAll(name, "/", "-"); dashed != list[0] {
		list = append(list, dashed)
	}
	for _, alias := range definition.Aliases() {
		if !slices.Contains(list, alias) {
			list = append(list, alias)
		}
	}
	return list
}

// definitions are the services of config.toml and of the job.
func (e *Executor) definitions() ([]api.Image, error) {
	var list []api.Image
	var own []string
	for _, configured := range e.docker.Services {
		name := e.expand(configured.Name)
		own = append(own, name)
		image := api.Image{
			Name: name, Alias: e.expand(configured.Alias),
			Command: configured.Command, Entrypoint: configured.Entrypoint,
		}
		for _, entry := range configured.Environment {
			key, value, _ := strings.Cut(entry, "=")
			image.Variables = append(image.Variables, api.Variable{Key: key, Value: value})
		}
		list = append(list, image)
	}
	for _, wanted := range e.b.Job.Services {
		wanted.Name, wanted.Alias = e.expand(wanted.Name), e.expand(wanted.Alias)
		if err := e.verifyAllowed(wanted.Name, "services", e.docker.AllowedServices, own); err != nil {
			return nil, err
		}
		list = append(list, wanted)
	}
	if limit := e.docker.ServicesLimit; limit != nil && *limit >= 0 && len(list) > *limit {
		return nil, &build.Error{Reason: api.RunnerSystemFailure, Err: fmt.Errorf(
			"too many services requested: %d, only %d allowed", len(list), *limit)}
	}
	return list, nil
}

func (e *Executor) createServices(ctx context.Context) error {
	e.b.SetExecutorStage(stageServices)
	definitions, err := e.definitions()
	if err != nil {
		return err
	}
	var services []service
	var links []string
	for index, definition := range definitions {
		created, err := e.createService(ctx, index, definition)
		if err != nil {
			return err
		}
		services = append(services, created)
		if !e.isUserDefined() && created.ip != "" {
			name, _ := serviceName(definition.Name)
			for _, alias := range aliases(name, definition) {
				links = append(links, alias+":"+created.ip)
			}
		}
	}
	e.links = links
	e.waitForServices(ctx, services)
	return ctx.Err()
}

func (e *Executor) createService(ctx context.Context, index int, definition api.Image) (service, error) {
	name, version := serviceName(definition.Name)
	if name == "" {
		return service{}, systemFailure(fmt.Errorf("invalid service image name: %s", definition.Name))
	}
	if strings.HasPrefix(version, "@") {
		e.log.Println("Starting service " + name + version + "...")
	} else {
		e.log.Println("Starting service " + name + ":" + version + "...")
	}
	options := definition.Options.Docker
	image, err := e.bring(ctx, definition.Name, options.Platform, definition.PullPolicies)
	if err != nil {
		return service{}, err
	}
	host, err := e.serviceHostConfig(definition)
	if err != nil {
		return service{}, systemFailure(err)
	}
	container := fmt.Sprintf("%s-%s-%d", e.unique, containerName(name), index)
	_ = e.remove(ctx, container)
	variables := append(e.b.Variables().ForServices(), definition.Variables...)
	spec := engine.Spec{
		Name: container,
		Config: engine.Config{
			Image: image.ID, Env: variables.Expand().Environment(), Cmd: definition.Command,
			Entrypoint: e.entrypoint(definition), User: e.expand(options.User),
			Labels: e.containerLabels(typeService, map[string]string{"service": name, "service.version": version}),
		},
		Host:    host,
		Network: e.networkConfig(aliases(name, definition)),
	}
	if options.Platform != "" {
		spec.Platform = image.OS + "/" + image.Architecture
	}
	id, err := e.create(ctx, spec)
	if err != nil {
		return service{}, err
	}
	if err := e.client.StartContainer(ctx, id); err != nil {
		return service{}, err
	}
	state, err := e.client.InspectContainer(ctx, id)
	if err != nil {
		return service{}, fmt.Errorf("getting exposed ports: %w", err)
	}
	created := service{id: id, name: container, ports: tcpPorts(state.Config.ExposedPorts)}
	for _, endpoint := range state.NetworkSettings.Networks {
		created.ip = endpoint.IPAddress
	}
	return created, nil
}

// containerName makes a part of a container's name out of an image's.
func containerName(image string) string {
	return strings.NewReplacer("/", "__", ":", "_").Replace(image)
}

func tcpPorts(exposed map[string]struct{}) []int {
	var ports []int
	for port := range exposed {
		number, protocol, _ := strings.Cut(port, "/")
		first, _, _ := strings.Cut(number, "-")
		if value, err := strconv.Atoi(first); err == nil && (protocol == "" || protocol == "tcp") {
			ports = append(ports, value)
		}
	}
	sort.Ints(ports)
	return ports
}

// serviceHostConfig is what a service may have of the machine: less than the job, but the same
// volumes.
func (e *Executor) serviceHostConfig(definition api.Image) (engine.HostConfig, error) {
	d := e.docker
	limits, err := limitsOf(d.ServiceMemory, d.ServiceMemorySwap, d.ServiceMemoryReservation, d.ServiceCPUs)
	if err != nil {
		return engine.HostConfig{}, fmt.Errorf("service %w", err)
	}
	var devices []engine.Device
	for glob, list := range d.ServicesDevices {
		if !matchesAny([]string{glob}, definition.Name) {
			continue
		}
		more, err := devicesOf(list)
		if err != nil {
			return engine.HostConfig{}, err
		}
		devices = append(devices, more...)
	}
	gpus, err := gpusOf(d.ServiceGpus)
	if err != nil {
		return engine.HostConfig{}, err
	}
	privileged := d.Privileged
	if d.ServicesPrivileged != nil {
		privileged = *d.ServicesPrivileged
	}
	privileged = privileged &&
		(len(d.AllowedPrivilegedServices) == 0 || matchesAny(d.AllowedPrivilegedServices, definition.Name))
	var init *bool
	if e.b.Flag(build.FlagInit) {
		yes := true
		init = &yes
	}
	return engine.HostConfig{
		Memory: limits.memory, MemorySwap: limits.swap, MemoryReservation: limits.reservation, NanoCPUs: limits.nanoCPUs,
		CgroupParent: d.ServiceCgroupParent, CpusetCPUs: d.ServiceCpusetCPUs, CPUShares: d.ServiceCPUShares,
		Devices: devices, DeviceRequests: gpus,
		DNS: d.DNS, DNSSearch: d.DNSSearch, ExtraHosts: d.ExtraHosts, NetworkMode: e.networkMode,
		Privileged: privileged, SecurityOpt: d.ServicesSecurityOpt, Runtime: d.Runtime, UsernsMode: d.UsernsMode,
		Binds: e.volumes.binds, ShmSize: d.ShmSize, Tmpfs: d.ServicesTmpfs, Init: init,
		RestartPolicy: engine.RestartPolicy{Name: "no"}, LogConfig: e.logConfig(),
	}, nil
}

// waitForServices gives services time to open their ports. One that does not is warned of.
func (e *Executor) waitForServices(ctx context.Context, services []service) {
	limit := e.docker.ServiceWait()
	if limit == 0 || len(services) == 0 {
		return
	}
	e.log.Println(fmt.Sprintf("Waiting for services to be up and running (timeout %d seconds)...", int(limit.Seconds())))
	var group sync.WaitGroup
	for _, started := range services {
		group.Go(func() {
			if err := e.checkService(ctx, started, limit); err != nil && ctx.Err() == nil {
				e.warnOfService(ctx, started, err)
			}
		})
	}
	group.Wait()
}

// checkService dials a service from a container in the same network.
func (e *Executor) checkService(ctx context.Context, started service, limit time.Duration) error {
	if len(started.ports) == 0 {
		return fmt.Errorf("service %q has no exposed ports", started.name)
	}
	host := started.id[:min(12, len(started.id))]
	command := []string{helperBinary, "health-check"}
	for _, port := range started.ports {
		command = append(command, "--port", strconv.Itoa(port))
	}
	spec := engine.Spec{
		Name: started.name + "-wait-for-service",
		Config: engine.Config{
			Image: e.helper.ID, Cmd: command,
			Env:    []string{"WAIT_FOR_SERVICE_TCP_ADDR=" + host},
			Labels: e.labels(typeWait, map[string]string{"wait": started.id}),
		},
		Host: engine.HostConfig{
			NetworkMode: e.networkMode, RestartPolicy: engine.RestartPolicy{Name: "no"}, LogConfig: e.logConfig(),
		},
		Network: e.networkConfig([]string{started.name + "-wait-for-service"}),
	}
	if !e.isUserDefined() && started.ip != "" {
		spec.Host.ExtraHosts = []string{host + ":" + started.ip}
	}
	id, err := e.create(ctx, spec)
	if err != nil {
		return fmt.Errorf("create service container: %w", err)
	}
	if err := e.client.StartContainer(ctx, id); err != nil {
		return fmt.Errorf("start service container: %w", err)
	}
	waiting, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	code, err := e.client.WaitContainer(waiting, id)
	switch {
	case errors.Is(waiting.Err(), context.DeadlineExceeded):
		return fmt.Errorf("service %q timeout", spec.Name)
	case err != nil:
		return err
	case code != 0:
		return fmt.Errorf("service %q health check: exit code %d", spec.Name, code)
	}
	return nil
}

func (e *Executor) warnOfService(ctx context.Context, started service, failure error) {
	var logs bytes.Buffer
	if err := e.client.Logs(ctx, started.id, &logs); err != nil {
		logs.WriteString(err.Error())
	}
	e.log.Println(fmt.Sprintf("\n\x1b[0;33m*** WARNING:\x1b[0;m Service %s probably didn't start properly.\n\n"+
		"Health check error:\n%s\n\nService container logs:\n%s\n\n\x1b[0;33m*********\x1b[0;m\n",
		started.name, failure, strings.TrimSpace(logs.String())))
}
