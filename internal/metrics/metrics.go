// Package metrics counts what happens to requests, for Prometheus.
//
// The rules:
//   - It has a registry of its own; nothing is global.
//   - A label's value comes from the configuration or from a fixed set of words, never from a client: a refusal has no
//     label "service", for the name in it is whatever the client asked for.
//   - The bytes and the duration of a session are counted when it ends.
//   - Series of a listener or service that a reload took away stay until the process ends.
package metrics

import (
	"net/http"
	"runtime"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"jackfield"
)

// Metrics are the server's metrics. They may be used by many goroutines at once.
type Metrics struct {
	registry *prometheus.Registry

	sessions *prometheus.GaugeVec
	opened   *prometheus.CounterVec
	ended    *prometheus.CounterVec
	refused  *prometheus.CounterVec
	bytes    *prometheus.CounterVec
	duration *prometheus.HistogramVec
	mapper   *prometheus.HistogramVec
	http     *httpMetrics

	paths sync.Map // path -> *pathMetrics
}

var _ jackfield.Recorder = (*Metrics)(nil)

// New makes the metrics of a server of that version.
func New(version string) *Metrics {
	m := &Metrics{
		registry: prometheus.NewRegistry(),
		sessions: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "jackfield_sessions",
			Help: "Sessions that are open now.",
		}, []string{"listener", "service"}),
		opened: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "jackfield_sessions_opened_total",
			Help: "Sessions that were opened.",
		}, []string{"listener", "service"}),
		ended: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "jackfield_sessions_ended_total",
			Help: "Sessions that ended, by why: finished, client_reset, service_reset, idle, lifetime or cut.",
		}, []string{"listener", "service", "end"}),
		refused: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "jackfield_refused_total",
			Help: "Requests that were refused, by the true kind of the refusal.",
		}, []string{"listener", "kind"}),
		bytes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "jackfield_bytes_total",
			Help: "Bytes of sessions that have ended, by direction: from_client or from_service.",
		}, []string{"listener", "service", "direction"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "jackfield_session_duration_seconds",
			Help:    "How long sessions lasted that have ended.",
			Buckets: []float64{0.01, 0.1, 1, 10, 60, 600, 3600, 6 * 3600, 24 * 3600},
		}, []string{"listener"}),
		mapper: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "jackfield_mapper_duration_seconds",
			Help:    "How long decisions of mapper programs took, by outcome: allowed, denied or failed.",
			Buckets: []float64{0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30},
		}, []string{"mapper", "outcome"}),
		http: newHTTPMetrics(),
	}
	m.registry.MustRegister(
		m.sessions, m.opened, m.ended, m.refused, m.bytes, m.duration, m.mapper, buildInfo(version),
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	m.registry.MustRegister(m.http.collectors()...)
	return m
}

func buildInfo(version string) prometheus.Collector {
	info := prometheus.NewGauge(prometheus.GaugeOpts{
		Name:        "jackfield_build_info",
		Help:        "Always 1; its labels say which build this is.",
		ConstLabels: prometheus.Labels{"version": label(version), "goversion": runtime.Version()},
	})
	info.Set(1)
	return info
}

// Register adds metrics that somebody else collects.
func (m *Metrics) Register(c prometheus.Collector) { m.registry.MustRegister(c) }

// Handler serves the metrics in Prometheus's formats.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{})
}

// Opened counts a session. It returns no error.
func (m *Metrics) Opened(r *jackfield.Record) error {
	p := m.path(r)
	p.opened.Inc()
	p.sessions.Inc()
	return nil
}

// Closed counts a session's end, its bytes and its duration.
func (m *Metrics) Closed(r *jackfield.Record) {
	p := m.path(r)
	p.sessions.Dec()
	p.ended[endWord(r.End.Cause)].Inc()
	p.fromClient.Add(float64(max(r.Transfer.FromClient, 0)))
	p.fromService.Add(float64(max(r.Transfer.FromService, 0)))
	p.duration.Observe(r.Duration.Seconds())
}

// Refused counts a refusal.
func (m *Metrics) Refused(r *jackfield.Record) {
	m.refused.WithLabelValues(label(r.Listener), kindWord(r.Kind)).Inc()
}

// MapperDecided counts a decision of the mapper of that name, with its outcome in one word and how long it took.
func (m *Metrics) MapperDecided(name, outcome string, took time.Duration) {
	m.mapper.WithLabelValues(label(name), outcome).Observe(took.Seconds())
}

// label makes a text fit for a label's value, which is UTF-8.
func label(s string) string { return strings.ToValidUTF8(s, "\uFFFD") }
