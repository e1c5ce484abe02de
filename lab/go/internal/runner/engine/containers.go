package engine

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// Config is what runs in a container.
type Config struct {
	Hostname     string            `json:"Hostname,omitempty"`
	User         string            `json:"User,omitempty"`
	AttachStdin  bool              `json:"AttachStdin,omitempty"`
	AttachStdout bool              `json:"AttachStdout,omitempty"`
	AttachStderr bool              `json:"AttachStderr,omitempty"`
	OpenStdin    bool              `json:"OpenStdin,omitempty"`
	StdinOnce    bool              `json:"StdinOnce,omitempty"`
	Env          []string          `json:"Env,omitempty"`
	Cmd          []string          `json:"Cmd,omitempty"`
	Entrypoint   []string          `json:"Entrypoint,omitempty"`
	Image        string            `json:"Image"`
	Labels       map[string]string `json:"Labels,omitempty"`
	MacAddress   string            `json:"MacAddress,omitempty"`
}

// Device is a device of the machine in a container.
type Device struct {
	PathOnHost        string `json:"PathOnHost"`
	PathInContainer   string `json:"PathInContainer"`
	CgroupPermissions string `json:"CgroupPermissions"`
}

// DeviceRequest asks a driver for devices, such as GPUs.
type DeviceRequest struct {
	Driver       string     `json:"Driver"`
	Count        int        `json:"Count"`
	DeviceIDs    []string   `json:"DeviceIDs,omitempty"`
	Capabilities [][]string `json:"Capabilities"`
}

// Ulimit limits a container's processes.
type Ulimit struct {
	Name string `json:"Name"`
	Soft int64  `json:"Soft"`
	Hard int64  `json:"Hard"`
}

// LogConfig says where the engine keeps a container's output.
type LogConfig struct {
	Type   string            `json:"Type"`
	Config map[string]string `json:"Config,omitempty"`
}

// RestartPolicy says what happens when a container ends.
type RestartPolicy struct {
	Name string `json:"Name"`
}

// HostConfig is what a container may have of the machine.
type HostConfig struct {
	Binds             []string          `json:"Binds,omitempty"`
	NetworkMode       string            `json:"NetworkMode,omitempty"`
	RestartPolicy     RestartPolicy     `json:"RestartPolicy"`
	VolumeDriver      string            `json:"VolumeDriver,omitempty"`
	VolumesFrom       []string          `json:"VolumesFrom,omitempty"`
	CapAdd            []string          `json:"CapAdd,omitempty"`
	CapDrop           []string          `json:"CapDrop,omitempty"`
	DNS               []string          `json:"Dns,omitempty"`
	DNSSearch         []string          `json:"DnsSearch,omitempty"`
	ExtraHosts        []string          `json:"ExtraHosts,omitempty"`
	GroupAdd          []string          `json:"GroupAdd,omitempty"`
	IPCMode           string            `json:"IpcMode,omitempty"`
	Links             []string          `json:"Links,omitempty"`
	OomScoreAdj       int               `json:"OomScoreAdj,omitempty"`
	PIDMode           string            `json:"PidMode,omitempty"`
	Privileged        bool              `json:"Privileged,omitempty"`
	SecurityOpt       []string          `json:"SecurityOpt,omitempty"`
	Tmpfs             map[string]string `json:"Tmpfs,omitempty"`
	UsernsMode        string            `json:"UsernsMode,omitempty"`
	ShmSize           int64             `json:"ShmSize,omitempty"`
	Sysctls           map[string]string `json:"Sysctls,omitempty"`
	Runtime           string            `json:"Runtime,omitempty"`
	Isolation         string            `json:"Isolation,omitempty"`
	Init              *bool             `json:"Init,omitempty"`
	LogConfig         LogConfig         `json:"LogConfig"`
	CPUShares         int64             `json:"CpuShares,omitempty"`
	Memory            int64             `json:"Memory,omitempty"`
	MemorySwap        int64             `json:"MemorySwap,omitempty"`
	MemoryReservation int64             `json:"MemoryReservation,omitempty"`
	NanoCPUs          int64             `json:"NanoCpus,omitempty"`
	CgroupParent      string            `json:"CgroupParent,omitempty"`
	CpusetCPUs        string            `json:"CpusetCpus,omitempty"`
	CpusetMems        string            `json:"CpusetMems,omitempty"`
	Devices           []Device          `json:"Devices,omitempty"`
	DeviceCgroupRules []string          `json:"DeviceCgroupRules,omitempty"`
	DeviceRequests    []DeviceRequest   `json:"DeviceRequests,omitempty"`
	OomKillDisable    *bool             `json:"OomKillDisable,omitempty"`
	Ulimits           []Ulimit          `json:"Ulimits,omitempty"`
}

// Endpoint is a container's place in a network.
type Endpoint struct {
	Aliases    []string `json:"Aliases,omitempty"`
	MacAddress string   `json:"MacAddress,omitempty"`
	IPAddress  string   `json:"IPAddress,omitempty"`
}

// NetworkingConfig places a container in networks.
type NetworkingConfig struct {
	EndpointsConfig map[string]Endpoint `json:"EndpointsConfig,omitempty"`
}

// Spec is a container to be made.
type Spec struct {
	Name     string
	Platform string
	Config   Config
	Host     HostConfig
	Network  NetworkingConfig
}

// CreateContainer makes a container and returns its id, and what the engine warns of.
func (c *Client) CreateContainer(ctx context.Context, spec Spec) (string, []string, error) {
	body := struct {
		Config
		HostConfig       HostConfig       `json:"HostConfig"`
		NetworkingConfig NetworkingConfig `json:"NetworkingConfig"`
	}{spec.Config, spec.Host, spec.Network}
	query := url.Values{"name": {spec.Name}}
	if spec.Platform != "" {
		query.Set("platform", spec.Platform)
	}
	var answer struct {
		ID       string   `json:"Id"`
		Warnings []string `json:"Warnings"`
	}
	err := c.call(ctx, http.MethodPost, "/containers/create", query, body, &answer)
	return answer.ID, answer.Warnings, err
}

// StartContainer starts a container that does not run.
func (c *Client) StartContainer(ctx context.Context, id string) error {
	return c.call(ctx, http.MethodPost, "/containers/"+id+"/start", nil, nil, nil)
}

// KillContainer sends a signal to a container's first process.
func (c *Client) KillContainer(ctx context.Context, id, signal string) error {
	return c.call(ctx, http.MethodPost, "/containers/"+id+"/kill", url.Values{"signal": {signal}}, nil, nil)
}

// RemoveContainer removes a container with its anonymous volumes, running or not.
func (c *Client) RemoveContainer(ctx context.Context, id string) error {
	query := url.Values{"v": {"1"}, "force": {"1"}}
	return c.call(ctx, http.MethodDelete, "/containers/"+id, query, nil, nil)
}

// Container is what the engine knows of a container.
type Container struct {
	ID     string `json:"Id"`
	Name   string `json:"Name"`
	Config struct {
		Env          []string            `json:"Env"`
		ExposedPorts map[string]struct{} `json:"ExposedPorts"`
	} `json:"Config"`
	State struct {
		Running   bool   `json:"Running"`
		ExitCode  int    `json:"ExitCode"`
		OOMKilled bool   `json:"OOMKilled"`
		Error     string `json:"Error"`
	} `json:"State"`
	NetworkSettings struct {
		Networks map[string]Endpoint `json:"Networks"`
	} `json:"NetworkSettings"`
}

// InspectContainer looks a container up.
func (c *Client) InspectContainer(ctx context.Context, id string) (*Container, error) {
	container := &Container{}
	if err := c.call(ctx, http.MethodGet, "/containers/"+id+"/json", nil, nil, container); err != nil {
		return nil, err
	}
	return container, nil
}

// WaitContainer waits until a container has ended, and returns its exit code.
func (c *Client) WaitContainer(ctx context.Context, id string) (int, error) {
	var answer struct {
		StatusCode int `json:"StatusCode"`
		Error      *struct {
			Message string `json:"Message"`
		} `json:"Error"`
	}
	query := url.Values{"condition": {"not-running"}}
	if err := c.call(ctx, http.MethodPost, "/containers/"+id+"/wait", query, nil, &answer); err != nil {
		return 0, err
	}
	if answer.Error != nil && answer.Error.Message != "" {
		return answer.StatusCode, errors.New(answer.Error.Message)
	}
	return answer.StatusCode, nil
}

// Logs copies what a container has printed so far.
func (c *Client) Logs(ctx context.Context, id string, out io.Writer) error {
	query := url.Values{"stdout": {"1"}, "stderr": {"1"}, "timestamps": {"1"}}
	response, err := c.send(ctx, http.MethodGet, "/containers/"+id+"/logs", query, nil, nil)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	return Demultiplex(response.Body, out, out)
}

// Attached are a container's three streams over one connection.
type Attached struct {
	conn   net.Conn
	reader *bufio.Reader
}

// Attach connects to a container's streams; done before it is started, nothing is missed.
func (c *Client) Attach(ctx context.Context, id string) (*Attached, error) {
	query := url.Values{"stream": {"1"}, "stdin": {"1"}, "stdout": {"1"}, "stderr": {"1"}}
	return c.hijack(ctx, "/containers/"+id+"/attach?"+query.Encode(), nil)
}

// hijack makes a request after which the connection carries raw streams.
func (c *Client) hijack(ctx context.Context, path string, body any) (*Attached, error) {
	data := []byte{}
	if body != nil {
		var err error
		if data, err = json.Marshal(body); err != nil {
			return nil, err
		}
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, c.base+c.prefix+path, bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Connection", "Upgrade")
	request.Header.Set("Upgrade", "tcp")
	conn, err := c.dial(ctx)
	if err != nil {
		return nil, c.unreachable(err)
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Now()) })
	defer stop()
	if err := request.Write(conn); err != nil {
		_ = conn.Close()
		return nil, err
	}
	reader := bufio.NewReader(conn)
	response, err := http.ReadResponse(reader, request)
	if err != nil {
		_ = conn.Close()
		return nil, err
	}
	if response.StatusCode != http.StatusSwitchingProtocols && response.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(io.LimitReader(response.Body, 64<<10))
		_ = conn.Close()
		return nil, errorOf(response.StatusCode, response.Status, text)
	}
	return &Attached{conn: conn, reader: reader}, nil
}

// Write sends to the container's standard input.
func (a *Attached) Write(data []byte) (int, error) { return a.conn.Write(data) }

// CloseWrite ends the container's standard input.
func (a *Attached) CloseWrite() error {
	if half, ok := a.conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}

// Copy reads the container's output until it ends.
func (a *Attached) Copy(stdout, stderr io.Writer) error {
	return Demultiplex(a.reader, stdout, stderr)
}

// Close lets go of the connection; the container goes on.
func (a *Attached) Close() error { return a.conn.Close() }

// Demultiplex takes apart the two streams that the engine sends as one.
func Demultiplex(in io.Reader, stdout, stderr io.Writer) error {
	header := make([]byte, 8)
	for {
		if _, err := io.ReadFull(in, header); err != nil {
			if errors.Is(err, io.EOF) {
				return nil
			}
			return err
		}
		out := stdout
		switch header[0] {
		case 0, 1:
		case 2:
			out = stderr
		default:
			return fmt.Errorf("the engine sent a stream of kind %s", strconv.Itoa(int(header[0])))
		}
		if _, err := io.CopyN(out, in, int64(binary.BigEndian.Uint32(header[4:]))); err != nil {
			if errors.Is(err, io.EOF) {
				return io.ErrUnexpectedEOF
			}
			return err
		}
	}
}

// Exec runs a command in a running container and waits for its end.
func (c *Client) Exec(ctx context.Context, id string, command []string, out io.Writer) (int, error) {
	body := map[string]any{"AttachStdout": true, "AttachStderr": true, "Cmd": command}
	var created struct {
		ID string `json:"Id"`
	}
	if err := c.call(ctx, http.MethodPost, "/containers/"+id+"/exec", nil, body, &created); err != nil {
		return 0, err
	}
	attached, err := c.hijack(ctx, "/exec/"+created.ID+"/start", map[string]any{"Detach": false, "Tty": false})
	if err != nil {
		return 0, err
	}
	defer attached.Close()
	stop := context.AfterFunc(ctx, func() { _ = attached.Close() })
	defer stop()
	if err := attached.Copy(out, out); err != nil {
		return 0, err
	}
	var state struct {
		ExitCode int `json:"ExitCode"`
	}
	err = c.call(ctx, http.MethodGet, "/exec/"+created.ID+"/json", nil, nil, &state)
	return state.ExitCode, err
}
