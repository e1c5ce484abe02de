package manager

import (
	"fmt"
	"net"
	"net/http"
	"net/http/pprof"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"gitlab-runner-proxmox/lab/internal/runner/logging"
)

const (
	defaultPort   = "9252"
	headerTimeout = 10 * time.Second
)

// address is where metrics are served; "" for nowhere.
func (m *Manager) address() (string, error) {
	address := m.ListenAddress
	if address == "" {
		address = m.config.Load().ListenAddress
	}
	if address == "" {
		return "", nil
	}
	_, port, err := net.SplitHostPort(address)
	if err != nil && !strings.Contains(err.Error(), "missing port in address") {
		return "", err
	}
	if port == "" {
		return strings.TrimSuffix(address, ":") + ":" + defaultPort, nil
	}
	return address, nil
}

// serve opens the metrics; the error says why they cannot be had.
func (m *Manager) serve() error {
	address, err := m.address()
	if err != nil {
		m.log().Error("invalid listen address: " + err.Error())
		return nil
	}
	if address == "" {
		m.log().Info("listen_address not defined, metrics & debug endpoints disabled")
		return nil
	}
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return fmt.Errorf("failed to create listener for metrics server: %w", err)
	}
	server := &http.Server{Handler: m.handler(), ReadHeaderTimeout: headerTimeout}
	go func() {
		if err := server.Serve(listener); err != nil {
			m.log().WithError(err).Fatal("Metrics server terminated")
		}
	}()
	m.log().With(logging.Fields{"address": address}).Info("Metrics server listening")
	return nil
}

func (m *Manager) handler() http.Handler {
	mux := http.NewServeMux()
	metrics := promhttp.HandlerFor(m.metrics.Registry, promhttp.HandlerOpts{})
	mux.HandleFunc("/metrics", func(writer http.ResponseWriter, request *http.Request) {
		if request.Method != http.MethodGet && request.Method != http.MethodHead {
			http.Error(writer, http.StatusText(http.StatusMethodNotAllowed), http.StatusMethodNotAllowed)
			return
		}
		metrics.ServeHTTP(writer, request)
	})
	mux.HandleFunc("/debug/jobs/list", m.listJobs)
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	mux.HandleFunc("/debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
	return mux
}

func (m *Manager) listJobs(writer http.ResponseWriter, _ *http.Request) {
	writer.Header().Set("X-List-Version", "2")
	writer.Header().Set("Content-Type", "text/plain")
	for _, running := range m.slots.running() {
		state, stage, executorStage := running.Progress()
		_, _ = fmt.Fprintf(writer, "url=%s state=%s stage=%s executor_stage=%s duration=%s\n",
			running.URL(), state, stage, executorStage, running.Duration())
	}
}

var (
	concurrentDesc = prometheus.NewDesc("gitlab_runner_concurrent", "The current value of concurrent setting", nil, nil)
	limitDesc      = prometheus.NewDesc("gitlab_runner_limit", "The current value of concurrent setting",
		[]string{"runner", "runner_name", "system_id"}, nil)
)

// Describe implements prometheus.Collector.
func (m *Manager) Describe(out chan<- *prometheus.Desc) {
	out <- concurrentDesc
	out <- limitDesc
}

// Collect implements prometheus.Collector.
func (m *Manager) Collect(out chan<- prometheus.Metric) {
	loaded := m.config.Load()
	out <- prometheus.MustNewConstMetric(concurrentDesc, prometheus.GaugeValue, float64(loaded.Concurrent))
	for _, runner := range loaded.Runners {
		out <- prometheus.MustNewConstMetric(limitDesc, prometheus.GaugeValue, float64(runner.Limit),
			runner.ShortToken(), runner.Name, m.systemID)
	}
}
