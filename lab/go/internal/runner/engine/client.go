// Package engine is a client of the Docker Engine's HTTP API, with what a runner needs of it.
package engine

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

const (
	defaultHost = "unix:///var/run/docker.sock"
	// newest is the newest version of the API that this client was written for.
	newest = "1.45"
	oldest = "1.25"
)

// Options say where the engine is.
type Options struct {
	// Host such as unix:///var/run/docker.sock or tcp://10.0.0.1:2376; DOCKER_HOST by default.
	Host string
	// TLSCertPath is a folder with ca.pem, cert.pem and key.pem.
	TLSCertPath string
	// TLSVerify checks the engine's certificate.
	TLSVerify bool
}

// Client calls one engine. Safe for concurrent use.
type Client struct {
	http   *http.Client
	dial   func(context.Context) (net.Conn, error)
	base   string
	host   string
	prefix string
	// APIVersion is what client and engine have agreed upon.
	APIVersion string
}

// Error is an answer of the engine that is no success.
type Error struct {
	Status  int
	Message string
}

func (e *Error) Error() string { return "Error response from daemon: " + e.Message }

// IsNotFound tells whether the engine does not have what was asked for.
func IsNotFound(err error) bool {
	var engine *Error
	return errors.As(err, &engine) && engine.Status == http.StatusNotFound
}

// Connect finds the engine and agrees with it on a version of the API.
func Connect(ctx context.Context, options Options) (*Client, error) {
	host := options.Host
	if host == "" {
		host = os.Getenv("DOCKER_HOST")
	}
	if host == "" {
		host = defaultHost
	}
	scheme, address, found := strings.Cut(host, "://")
	if !found {
		return nil, fmt.Errorf("unable to parse docker host %q", host)
	}
	client := &Client{host: host, base: "http://docker"}
	dialer := &net.Dialer{Timeout: 30 * time.Second}
	switch scheme {
	case "unix":
		client.dial = func(ctx context.Context) (net.Conn, error) {
			return dialer.DialContext(ctx, "unix", address)
		}
	case "tcp", "http", "https":
		secure, err := tlsConfig(options, address)
		if err != nil {
			return nil, err
		}
		client.dial = func(ctx context.Context) (net.Conn, error) {
			conn, err := dialer.DialContext(ctx, "tcp", address)
			if err != nil || secure == nil {
				return conn, err
			}
			return tls.Client(conn, secure), nil
		}
	default:
		return nil, fmt.Errorf("docker host %q: only unix and tcp are supported", host)
	}
	client.http = &http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return client.dial(ctx) },
		// What is compressed stays so: images are passed on as they are.
		DisableCompression: true,
	}}
	return client, client.agree(ctx)
}

func tlsConfig(options Options, address string) (*tls.Config, error) {
	path := options.TLSCertPath
	if path == "" && !options.TLSVerify {
		return nil, nil
	}
	host, _, _ := strings.Cut(address, ":")
	config := &tls.Config{
		MinVersion: tls.VersionTLS12,
		ServerName: host,
		// As with Docker's own clients: without tls_verify the engine's certificate is not checked.
		InsecureSkipVerify: !options.TLSVerify,
	}
	if path == "" {
		return config, nil
	}
	ca, err := os.ReadFile(filepath.Join(path, "ca.pem"))
	if err != nil {
		return nil, fmt.Errorf("tls_cert_path: %w", err)
	}
	config.RootCAs = x509.NewCertPool()
	if !config.RootCAs.AppendCertsFromPEM(ca) {
		return nil, fmt.Errorf("tls_cert_path: ca.pem holds no certificate")
	}
	pair, err := tls.LoadX509KeyPair(filepath.Join(path, "cert.pem"), filepath.Join(path, "key.pem"))
	if err != nil {
		return nil, fmt.Errorf("tls_cert_path: %w", err)
	}
	config.Certificates = []tls.Certificate{pair}
	return config, nil
}

func (c *Client) agree(ctx context.Context) error {
	var version struct {
		APIVersion string `json:"ApiVersion"`
	}
	if err := c.call(ctx, http.MethodGet, "/version", nil, nil, &version); err != nil {
		return err
	}
	if less(version.APIVersion, oldest) {
		return fmt.Errorf("the Docker engine at %s speaks API %s, but %s is needed", c.host, version.APIVersion, oldest)
	}
	c.APIVersion = newest
	if less(version.APIVersion, newest) {
		c.APIVersion = version.APIVersion
	}
	c.prefix = "/v" + c.APIVersion
	return nil
}

// less compares versions such as 1.44.
func less(a, b string) bool {
	majorA, minorA := numbers(a)
	majorB, minorB := numbers(b)
	return majorA < majorB || (majorA == majorB && minorA < minorB)
}

func numbers(version string) (int, int) {
	majorText, minorText, _ := strings.Cut(version, ".")
	major, _ := strconv.Atoi(majorText)
	minor, _ := strconv.Atoi(minorText)
	return major, minor
}

// Close lets go of idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// send makes a request whose answer the caller reads and closes.
func (c *Client) send(ctx context.Context, method, path string, query url.Values, header http.Header, body io.Reader) (*http.Response, error) {
	target := c.base + c.prefix + path
	if len(query) > 0 {
		target += "?" + query.Encode()
	}
	request, err := http.NewRequestWithContext(ctx, method, target, body)
	if err != nil {
		return nil, err
	}
	for name, values := range header {
		request.Header[name] = values
	}
	response, err := c.http.Do(request)
	if err != nil {
		return nil, c.unreachable(err)
	}
	if response.StatusCode < 400 {
		return response, nil
	}
	defer response.Body.Close()
	data, _ := io.ReadAll(io.LimitReader(response.Body, 64<<10))
	return nil, errorOf(response.StatusCode, response.Status, data)
}

func errorOf(status int, text string, data []byte) error {
	var answer struct {
		Message string `json:"message"`
	}
	message := strings.TrimSpace(string(data))
	if json.Unmarshal(data, &answer) == nil && answer.Message != "" {
		message = answer.Message
	}
	if message == "" {
		message = text
	}
	return &Error{Status: status, Message: message}
}

func (c *Client) unreachable(err error) error {
	var operation *net.OpError
	if errors.As(err, &operation) && operation.Op == "dial" {
		return fmt.Errorf("Cannot connect to the Docker daemon at %s. Is the docker daemon running?", c.host) //nolint:staticcheck // Docker's own words.
	}
	return err
}

// call makes a request with JSON on both sides; either may be nil.
func (c *Client) call(ctx context.Context, method, path string, query url.Values, body, answer any) error {
	header := http.Header{}
	var reader io.Reader
	if body != nil {
		data, err := json.Marshal(body)
		if err != nil {
			return err
		}
		reader = bytes.NewReader(data)
		header.Set("Content-Type", "application/json")
	}
	response, err := c.send(ctx, method, path, query, header, reader)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if answer == nil {
		_, err = io.Copy(io.Discard, response.Body)
		return err
	}
	return json.NewDecoder(response.Body).Decode(answer)
}
