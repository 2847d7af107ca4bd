package metrics

import (
	"strconv"

	"github.com/prometheus/client_golang/prometheus"
)

// httpMetrics are those of HTTP listeners and of the API.
type httpMetrics struct {
	connections *prometheus.GaugeVec
	refused     *prometheus.CounterVec
	calls       *prometheus.CounterVec
}

func newHTTPMetrics() *httpMetrics {
	return &httpMetrics{
		connections: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "jackfield_http_connections",
			Help: "Connections to HTTP listeners that are open now.",
		}, []string{"listener"}),
		refused: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "jackfield_http_refused_total",
			Help: "Connections to HTTP listeners, and requests on them, that were refused before a handler saw them, by reason.",
		}, []string{"listener", "reason"}),
		calls: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "jackfield_api_calls_total",
			Help: "Calls of the API, by operation and status of the answer.",
		}, []string{"method", "path", "status"}),
	}
}

func (h *httpMetrics) collectors() []prometheus.Collector {
	return []prometheus.Collector{h.connections, h.refused, h.calls}
}

// ConnectionOpened counts a connection to an HTTP listener.
func (m *Metrics) ConnectionOpened(listener string) {
	m.http.connections.WithLabelValues(listener).Inc()
}

// ConnectionClosed counts its end.
func (m *Metrics) ConnectionClosed(listener string) {
	m.http.connections.WithLabelValues(listener).Dec()
}

// ConnectionRefused counts one that was refused, or a request on it.
func (m *Metrics) ConnectionRefused(listener, reason string) {
	m.http.refused.WithLabelValues(listener, reason).Inc()
}

// Called counts a call of the API. The path is the operation's, in which nothing is the caller's; empty: there is no such one.
func (m *Metrics) Called(method, path string, status int) {
	if path == "" {
		method, path = "other", "other" // both are the caller's words
	}
	m.http.calls.WithLabelValues(method, path, strconv.Itoa(status)).Inc()
}
