package docker

import (
	"context"
	"fmt"
	"strings"

	"gitlab-runner-proxmox/lab/internal/runner/build"
	"gitlab-runner-proxmox/lab/internal/runner/engine"
)

// createNetwork gives the build a network of its own where that is wanted.
func (e *Executor) createNetwork(ctx context.Context) error {
	if e.docker.NetworkMode != "" {
		e.networkMode = e.docker.NetworkMode
		return nil
	}
	if !e.b.Flag(build.FlagNetworkPerBuild) {
		return nil
	}
	name := fmt.Sprintf("%s-job-%d-network", e.unique, e.b.Job.ID)
	creating, cancel := detach(ctx)
	defer cancel()
	id, err := e.client.CreateNetwork(creating, engine.Network{
		Name: name, Labels: e.labels("network", nil), EnableIPv6: e.docker.EnableIPv6, MTU: e.docker.NetworkMTU,
	})
	if err != nil {
		return fmt.Errorf("creating network for build: %w", err)
	}
	e.networkMode, e.networkID = name, id
	return nil
}

// isUserDefined tells whether containers find each other by name.
func (e *Executor) isUserDefined() bool {
	switch e.networkMode {
	case "", "default", "bridge", "host", "none":
		return false
	}
	return !strings.HasPrefix(e.networkMode, "container:")
}

func (e *Executor) networkConfig(aliases []string) engine.NetworkingConfig {
	if e.isUserDefined() {
		return engine.NetworkingConfig{EndpointsConfig: map[string]engine.Endpoint{
			e.networkMode: {Aliases: aliases, MacAddress: e.docker.MacAddress},
		}}
	}
	if e.docker.MacAddress == "" {
		return engine.NetworkingConfig{}
	}
	mode := e.networkMode
	if mode == "" {
		mode = "default"
	}
	return engine.NetworkingConfig{EndpointsConfig: map[string]engine.Endpoint{
		mode: {MacAddress: e.docker.MacAddress},
	}}
}

func (e *Executor) removeNetwork(ctx context.Context) {
	if e.networkID == "" {
		return
	}
	ids, err := e.client.NetworkContainers(ctx, e.networkID)
	if err == nil {
		for _, id := range ids {
			if err := e.remove(ctx, id); err != nil {
				e.log.Error("remove container returned error " + err.Error())
			}
		}
	}
	if err := e.client.RemoveNetwork(ctx, e.networkID); err != nil && !engine.IsNotFound(err) {
		e.log.Error("Failed to remove network for build: " + err.Error())
	}
	e.networkID = ""
}
