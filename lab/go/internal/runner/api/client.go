package api

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"gitlab-runner-proxmox/lab/internal/runner/version"
)

const (
	apiPath        = "/api/v4/"
	tries          = 5
	firstPause     = 100 * time.Millisecond
	longestPause   = time.Minute
	headerTimeout  = 10 * time.Minute
	maxBody        = 64 << 20
	defaultMaxAge  = 15 * time.Minute
	clientErrors   = -100
	unknownContent = -101
)

// CertificatesDir is where certificates of GitLabs lie, as HOST.crt.
const CertificatesDir = "/etc/gitlab-runner/certs"

// Endpoint names a call in metrics.
type Endpoint string

// The calls that are counted.
const (
	RequestJobs Endpoint = "request_job"
	UpdateJobs  Endpoint = "update_job"
	PatchTraces Endpoint = "patch_trace"
	ResetTokens Endpoint = "reset_token"
)

// Observer hears of requests.
type Observer interface {
	// Requested: a request ended with this HTTP status.
	Requested(server *Server, endpoint Endpoint, status int, method string, took time.Duration)
	// Retried: a request was sent again.
	Retried(path, method string)
}

// Server is a GitLab as one runner sees it.
type Server struct {
	URL   string
	Token string
	// Short names the runner; it opens nothing.
	Short    string
	SystemID string
	CAFile   string
	CertFile string
	KeyFile  string
	// CertificatesDir is /etc/gitlab-runner/certs unless set.
	CertificatesDir string
}

// Client calls GitLab. Safe for concurrent use.
type Client struct {
	observer Observer
	// sleep waits between tries.
	sleep func(context.Context, time.Duration)

	mu         sync.Mutex
	clients    map[string]*http.Client
	lastUpdate map[string]string
	maxAge     time.Duration
	born       time.Time
}

// New returns a client. observer may be nil.
func New(observer Observer) *Client {
	return &Client{
		observer:   observer,
		sleep:      sleep,
		clients:    map[string]*http.Client{},
		lastUpdate: map[string]string{},
		maxAge:     defaultMaxAge,
		born:       time.Now(),
	}
}

func sleep(ctx context.Context, pause time.Duration) {
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

// SetConnectionMaxAge limits how long connections are used again; 0 for the default of 15 min.
func (c *Client) SetConnectionMaxAge(age time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.maxAge = age
	if age <= 0 {
		c.maxAge = defaultMaxAge
	}
}

// baseURL is where the API starts.
func (s *Server) baseURL() (*url.URL, error) {
	text := strings.TrimSuffix(strings.TrimRight(s.URL, "/"), "/ci")
	base, err := url.Parse(strings.TrimRight(text, "/") + apiPath)
	if err != nil {
		return nil, err
	}
	if base.Scheme != "http" && base.Scheme != "https" {
		return nil, fmt.Errorf("only http or https scheme supported: %q", s.URL)
	}
	if base.Host == "" {
		return nil, fmt.Errorf("the URL %q names no host", s.URL)
	}
	return base, nil
}

// caFile is the file of certificates to trust besides the system's; "" for none.
func (s *Server) caFile(host string) string {
	if s.CAFile != "" {
		return s.CAFile
	}
	dir := s.CertificatesDir
	if dir == "" {
		dir = CertificatesDir
	}
	file := filepath.Join(dir, host+".crt")
	if _, err := os.Stat(file); err != nil {
		return ""
	}
	return file
}

// http returns the client for a server; a new one when a certificate file has changed.
func (c *Client) http(server *Server, host string) (*http.Client, error) {
	caFile := server.caFile(host)
	key := strings.Join([]string{
		server.URL, caFile, stamp(caFile), server.CertFile, stamp(server.CertFile),
		server.KeyFile, stamp(server.KeyFile),
	}, "\x00")
	c.mu.Lock()
	defer c.mu.Unlock()
	if time.Since(c.born) > c.maxAge {
		for _, client := range c.clients {
			client.CloseIdleConnections()
		}
		c.clients, c.born = map[string]*http.Client{}, time.Now()
	}
	if client, ok := c.clients[key]; ok {
		return client, nil
	}
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if caFile != "" {
		pem, err := os.ReadFile(caFile)
		if err != nil {
			return nil, fmt.Errorf("tls-ca-file: %w", err)
		}
		pool, err := x509.SystemCertPool()
		if err != nil {
			pool = x509.NewCertPool()
		}
		if !pool.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("tls-ca-file: %s holds no certificate", caFile)
		}
		config.RootCAs = pool
	}
	if server.CertFile != "" && server.KeyFile != "" {
		pair, err := tls.LoadX509KeyPair(server.CertFile, server.KeyFile)
		if err != nil {
			return nil, fmt.Errorf("tls-cert-file: %w", err)
		}
		config.Certificates = []tls.Certificate{pair}
	}
	client := &http.Client{Transport: &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           (&net.Dialer{Timeout: 30 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
		TLSClientConfig:       config,
		TLSHandshakeTimeout:   10 * time.Second,
		ResponseHeaderTimeout: headerTimeout,
		IdleConnTimeout:       90 * time.Second,
		ForceAttemptHTTP2:     true,
	}}
	c.clients[key] = client
	return client, nil
}

func stamp(file string) string {
	if file == "" {
		return ""
	}
	info, err := os.Stat(file)
	if err != nil {
		return "missing"
	}
	return strconv.FormatInt(info.ModTime().UnixNano(), 10)
}

// request is one call.
type request struct {
	method   string
	path     string
	endpoint Endpoint
	header   http.Header
	// body is sent as JSON, raw as it is.
	body any
	raw  []byte
	// answer receives a JSON answer with this status.
	answer       any
	answerStatus int
}

// response is what is left of an answer; its body is read.
type response struct {
	status int
	text   string
	header http.Header
	chain  string
	err    error
}

func failed(err error) *response {
	return &response{status: clientErrors, text: err.Error(), header: http.Header{}, err: err}
}

func (c *Client) do(ctx context.Context, server *Server, call request) *response {
	base, err := server.baseURL()
	if err != nil {
		return failed(err)
	}
	target, err := base.Parse(call.path)
	if err != nil {
		return failed(err)
	}
	client, err := c.http(server, base.Hostname())
	if err != nil {
		return failed(err)
	}
	body := call.raw
	if call.body != nil {
		if body, err = json.Marshal(call.body); err != nil {
			return failed(err)
		}
	}
	pause := firstPause
	for try := 1; ; try++ {
		started := time.Now()
		answer := c.once(ctx, client, target.String(), call, body)
		if c.observer != nil && call.endpoint != "" && answer.status > 0 {
			c.observer.Requested(server, call.endpoint, answer.status, call.method, time.Since(started))
		}
		if !again(answer.status) || try == tries || ctx.Err() != nil {
			return answer
		}
		wait := asked(answer.header, time.Now())
		if wait == 0 {
			wait = pause
			pause = min(2*pause, longestPause)
		}
		c.sleep(ctx, wait)
		if c.observer != nil {
			c.observer.Retried(call.path, call.method)
		}
	}
}

func (c *Client) once(ctx context.Context, client *http.Client, target string, call request, body []byte) *response {
	req, err := http.NewRequestWithContext(ctx, call.method, target, bytes.NewReader(body))
	if err != nil {
		return failed(err)
	}
	for name, values := range call.header {
		req.Header[name] = values
	}
	if call.body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if call.answer != nil {
		req.Header.Set("Accept", "application/json")
	}
	req.Header.Set("User-Agent", version.UserAgent())
	req.Header.Set("X-Request-Id", requestID())
	answer, err := client.Do(req)
	if err != nil {
		return failed(err)
	}
	defer answer.Body.Close()
	result := &response{status: answer.StatusCode, text: answer.Status, header: answer.Header}
	data, err := io.ReadAll(io.LimitReader(answer.Body, maxBody))
	if err != nil {
		return failed(err)
	}
	if answer.TLS != nil {
		result.chain = chainOf(answer.TLS)
	}
	if call.answer == nil || answer.StatusCode != call.answerStatus {
		return result
	}
	kind, _, err := mime.ParseMediaType(answer.Header.Get("Content-Type"))
	if err != nil || kind != "application/json" {
		result.status = unknownContent
		result.err = fmt.Errorf("server should return application/json, got: %q", answer.Header.Get("Content-Type"))
		result.text = result.err.Error()
		return result
	}
	if err := json.Unmarshal(data, call.answer); err != nil {
		result.status, result.err = clientErrors, fmt.Errorf("decoding the answer: %w", err)
		result.text = result.err.Error()
	}
	return result
}

// again tells whether a status means that the same request may succeed a little later.
func again(status int) bool {
	switch status {
	case http.StatusRequestTimeout, http.StatusTooManyRequests, http.StatusInternalServerError,
		http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true
	}
	return status >= 512
}

// asked is how long the server wants us to wait; 0 when it does not say.
func asked(header http.Header, now time.Time) time.Duration {
	until := time.Duration(0)
	if text := header.Get("RateLimit-ResetTime"); text != "" {
		if at, err := time.Parse(time.RFC1123, text); err == nil {
			until = at.Sub(now)
		}
	} else if text := header.Get("Retry-After"); text != "" {
		if seconds, err := strconv.Atoi(text); err == nil {
			until = time.Duration(seconds) * time.Second
		} else if at, err := time.Parse(time.RFC1123, text); err == nil {
			until = at.Sub(now)
		}
	}
	return min(max(until, 0), longestPause)
}

// chainOf are the certificates that vouch for the server, the root included.
func chainOf(state *tls.ConnectionState) string {
	var text bytes.Buffer
	seen := map[string]bool{}
	for _, chain := range state.VerifiedChains {
		for index, certificate := range chain {
			if index == 0 && len(chain) > 1 || seen[string(certificate.Raw)] {
				continue
			}
			seen[string(certificate.Raw)] = true
			_ = pem.Encode(&text, &pem.Block{Type: "CERTIFICATE", Bytes: certificate.Raw})
		}
	}
	return text.String()
}

// ErrForbidden is GitLab's refusal of a token.
var ErrForbidden = errors.New("forbidden")

// Send makes one request whose body and answer may be of any kind and size, such as an artifact. It
// is not tried again. The caller closes the answer's body.
func Send(ctx context.Context, server *Server, method, path string, header http.Header, body io.Reader) (*http.Response, error) {
	base, err := server.baseURL()
	if err != nil {
		return nil, err
	}
	target, err := base.Parse(path)
	if err != nil {
		return nil, err
	}
	client, err := New(nil).http(server, base.Hostname())
	if err != nil {
		return nil, err
	}
	request, err := http.NewRequestWithContext(ctx, method, target.String(), body)
	if err != nil {
		return nil, err
	}
	for name, values := range header {
		request.Header[name] = values
	}
	request.Header.Set("User-Agent", version.UserAgent())
	request.Header.Set("X-Request-Id", requestID())
	return client.Do(request)
}
