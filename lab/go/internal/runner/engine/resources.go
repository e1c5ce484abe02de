package engine

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
)

// Info is what the engine says of its machine.
type Info struct {
	Name            string `json:"Name"`
	ServerVersion   string `json:"ServerVersion"`
	KernelVersion   string `json:"KernelVersion"`
	OperatingSystem string `json:"OperatingSystem"`
	OSType          string `json:"OSType"`
	Architecture    string `json:"Architecture"`
}

// Info asks the engine about its machine.
func (c *Client) Info(ctx context.Context) (Info, error) {
	var info Info
	err := c.call(ctx, http.MethodGet, "/info", nil, nil, &info)
	return info, err
}

// VolumeExists tells whether there is a volume of this name.
func (c *Client) VolumeExists(ctx context.Context, name string) (bool, error) {
	err := c.call(ctx, http.MethodGet, "/volumes/"+name, nil, nil, nil)
	if IsNotFound(err) {
		return false, nil
	}
	return err == nil, err
}

// CreateVolume makes a volume, or finds the one of this name.
func (c *Client) CreateVolume(ctx context.Context, name, driver string, options, labels map[string]string) error {
	body := map[string]any{"Name": name, "Labels": labels}
	if driver != "" {
		body["Driver"] = driver
	}
	if len(options) > 0 {
		body["DriverOpts"] = options
	}
	return c.call(ctx, http.MethodPost, "/volumes/create", nil, body, nil)
}

// RemoveVolume removes a volume that no container has.
func (c *Client) RemoveVolume(ctx context.Context, name string) error {
	return c.call(ctx, http.MethodDelete, "/volumes/"+name, url.Values{"force": {"1"}}, nil, nil)
}

// Network is a network to be made.
type Network struct {
	Name       string
	Labels     map[string]string
	EnableIPv6 bool
	// MTU in bytes; 0 for the engine's own.
	MTU int
}

// CreateNetwork makes a bridge network and returns its id.
func (c *Client) CreateNetwork(ctx context.Context, network Network) (string, error) {
	body := map[string]any{
		"Name": network.Name, "Labels": network.Labels, "EnableIPv6": network.EnableIPv6,
		"CheckDuplicate": true,
	}
	if network.MTU > 0 {
		body["Options"] = map[string]string{"com.docker.network.driver.mtu": strconv.Itoa(network.MTU)}
	}
	var answer struct {
		ID string `json:"Id"`
	}
	err := c.call(ctx, http.MethodPost, "/networks/create", nil, body, &answer)
	return answer.ID, err
}

// NetworkContainers lists the containers in a network.
func (c *Client) NetworkContainers(ctx context.Context, id string) ([]string, error) {
	var answer struct {
		Containers map[string]any `json:"Containers"`
	}
	if err := c.call(ctx, http.MethodGet, "/networks/"+id, nil, nil, &answer); err != nil {
		return nil, err
	}
	ids := make([]string, 0, len(answer.Containers))
	for container := range answer.Containers {
		ids = append(ids, container)
	}
	return ids, nil
}

// RemoveNetwork removes a network without containers.
func (c *Client) RemoveNetwork(ctx context.Context, id string) error {
	return c.call(ctx, http.MethodDelete, "/networks/"+id, nil, nil, nil)
}
