package metrics

import (
	"github.com/prometheus/client_golang/prometheus"

	"jackfield"
)

// A path is what the labels of a session are made of; both names are the configuration's.
type path struct{ listener, service string }

// pathMetrics are the metrics of one path, looked up once.
type pathMetrics struct {
	sessions    prometheus.Gauge
	opened      prometheus.Counter
	ended       map[string]prometheus.Counter // by end word; never changed
	fromClient  prometheus.Counter
	fromService prometheus.Counter
	duration    prometheus.Observer
}

func (m *Metrics) path(r *jackfield.Record) *pathMetrics {
	key := path{r.Listener, string(r.Service)}
	if p, ok := m.paths.Load(key); ok {
		return p.(*pathMetrics)
	}
	p, _ := m.paths.LoadOrStore(key, m.newPath(label(key.listener), label(key.service)))
	return p.(*pathMetrics)
}

func (m *Metrics) newPath(listener, service string) *pathMetrics {
	p := &pathMetrics{
		sessions:    m.sessions.WithLabelValues(listener, service),
		opened:      m.opened.WithLabelValues(listener, service),
		ended:       make(map[string]prometheus.Counter, len(endWords)),
		fromClient:  m.bytes.WithLabelValues(listener, service, "from_client"),
		fromService: m.bytes.WithLabelValues(listener, service, "from_service"),
		duration:    m.duration.WithLabelValues(listener),
	}
	for _, end := range endWords {
		p.ended[end] = m.ended.WithLabelValues(listener, service, end)
	}
	return p
}
