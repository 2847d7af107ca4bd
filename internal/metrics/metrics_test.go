package metrics

import (
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.uber.org/goleak"

	"jackfield"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestASessionIsCounted(t *testing.T) {
	m := New("1.2.3")
	r := &jackfield.Record{Request: jackfield.Request{Listener: "mux", Service: "time"}}
	for range 3 {
		if err := m.Opened(r); err != nil {
			t.Fatal(err)
		}
	}
	r.Transfer = jackfield.Transfer{FromClient: 5, FromService: 70}
	r.Duration = 2 * time.Second
	r.End.Cause = jackfield.EndFinished
	m.Closed(r)
	r.End.Cause = "disconnected by admin"
	m.Closed(r)

	const want = `
# HELP jackfield_bytes_total Bytes of sessions that have ended, by direction: from_client or from_service.
# TYPE jackfield_bytes_total counter
jackfield_bytes_total{direction="from_client",listener="mux",service="time"} 10
jackfield_bytes_total{direction="from_service",listener="mux",service="time"} 140
# HELP jackfield_sessions Sessions that are open now.
# TYPE jackfield_sessions gauge
jackfield_sessions{listener="mux",service="time"} 1
# HELP jackfield_sessions_ended_total Sessions that ended, by why: finished, client_reset, service_reset, idle, lifetime or cut.
# TYPE jackfield_sessions_ended_total counter
jackfield_sessions_ended_total{end="client_reset",listener="mux",service="time"} 0
jackfield_sessions_ended_total{end="cut",listener="mux",service="time"} 1
jackfield_sessions_ended_total{end="finished",listener="mux",service="time"} 1
jackfield_sessions_ended_total{end="idle",listener="mux",service="time"} 0
jackfield_sessions_ended_total{end="lifetime",listener="mux",service="time"} 0
jackfield_sessions_ended_total{end="service_reset",listener="mux",service="time"} 0
# HELP jackfield_sessions_opened_total Sessions that were opened.
# TYPE jackfield_sessions_opened_total counter
jackfield_sessions_opened_total{listener="mux",service="time"} 3
`
	if err := testutil.GatherAndCompare(m.registry, strings.NewReader(want), "jackfield_bytes_total",
		"jackfield_sessions", "jackfield_sessions_ended_total", "jackfield_sessions_opened_total"); err != nil {
		t.Error(err)
	}
}

func TestEveryEndHasItsWord(t *testing.T) {
	for cause, want := range map[string]string{
		jackfield.EndFinished:     "finished",
		jackfield.EndClientReset:  "client_reset",
		jackfield.EndServiceReset: "service_reset",
		jackfield.EndIdle:         "idle",
		jackfield.EndLifetime:     "lifetime",
		"disconnected by admin":   "cut",
		"":                        "cut",
	} {
		m := New("")
		r := &jackfield.Record{Request: jackfield.Request{Listener: "mux", Service: "time"}}
		r.End.Cause = cause
		m.Closed(r)
		if got := testutil.ToFloat64(m.ended.WithLabelValues("mux", "time", want)); got != 1 {
			t.Errorf("%q is not counted as %q", cause, want)
		}
	}
}

func TestClientInputMakesNoSeries(t *testing.T) {
	m := New("")
	for _, name := range []jackfield.Name{"a", "b", "\xff"} {
		for _, kind := range []jackfield.Kind{jackfield.NotFound, jackfield.Kind("made up " + name)} {
			r := &jackfield.Record{Request: jackfield.Request{Listener: "mux", Service: name}, Kind: kind}
			r.Identity.User, r.Details = string(name), string(name)
			m.Refused(r)
		}
	}
	const want = `
# HELP jackfield_refused_total Requests that were refused, by the true kind of the refusal.
# TYPE jackfield_refused_total counter
jackfield_refused_total{kind="internal",listener="mux"} 3
jackfield_refused_total{kind="not_found",listener="mux"} 3
`
	if err := testutil.GatherAndCompare(m.registry, strings.NewReader(want), "jackfield_refused_total"); err != nil {
		t.Error(err)
	}
}

func TestNamesThatAreNotUTF8DoNotPanic(t *testing.T) {
	m := New("\xff")
	r := &jackfield.Record{Request: jackfield.Request{Listener: "\xff", Service: "\xfe"}}
	if err := m.Opened(r); err != nil {
		t.Fatal(err)
	}
	m.Closed(r)
	m.Refused(r)
	if got := testutil.ToFloat64(m.opened.WithLabelValues("\uFFFD", "\uFFFD")); got != 1 {
		t.Errorf("opened: %v", got)
	}
}

func TestConcurrentSessionsAddUp(t *testing.T) {
	m := New("")
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			r := &jackfield.Record{Request: jackfield.Request{Listener: "mux", Service: "time"}}
			for range 100 {
				if err := m.Opened(r); err != nil {
					t.Error(err)
				}
				m.Closed(r)
			}
		})
	}
	wg.Wait()
	opened, open := testutil.ToFloat64(m.opened), testutil.ToFloat64(m.sessions)
	if opened != 800 || open != 0 {
		t.Errorf("%v opened, %v open", opened, open)
	}
}

func TestTheHandlerServesAllOfIt(t *testing.T) {
	m := New("1.2.3")
	r := &jackfield.Record{Request: jackfield.Request{Listener: "mux", Service: "time"}, Duration: time.Second}
	m.Closed(r)
	m.Refused(r)
	answer := httptest.NewRecorder()
	m.Handler().ServeHTTP(answer, httptest.NewRequest("GET", "/metrics", nil))
	for _, want := range []string{
		`version="1.2.3"`, "go_goroutines ", `jackfield_session_duration_seconds_count{listener="mux"} 1`,
		"# TYPE jackfield_sessions gauge",
	} {
		if !strings.Contains(answer.Body.String(), want) {
			t.Errorf("%q is missing", want)
		}
	}
	problems, err := testutil.GatherAndLint(m.registry)
	if err != nil {
		t.Fatal(err)
	}
	for _, problem := range problems {
		t.Errorf("%s: %s", problem.Metric, problem.Text)
	}
}

func BenchmarkOpenedClosed(b *testing.B) {
	m := New("")
	r := &jackfield.Record{Request: jackfield.Request{Listener: "mux", Service: "time"}}
	b.ReportAllocs()
	for b.Loop() {
		if err := m.Opened(r); err != nil {
			b.Fatal(err)
		}
		m.Closed(r)
	}
}

func TestMapperDecided(t *testing.T) {
	m := New("1.2.3")
	m.MapperDecided("corp", "denied", 20*time.Millisecond)
	m.MapperDecided("corp", "denied", 2*time.Second)
	if n := testutil.CollectAndCount(m.mapper, "jackfield_mapper_duration_seconds"); n != 1 {
		t.Errorf("%d series, want 1", n)
	}
	const want = `jackfield_mapper_duration_seconds_bucket{mapper="corp",outcome="denied",le="0.03"} 1`
	answer := httptest.NewRecorder()
	m.Handler().ServeHTTP(answer, httptest.NewRequest("GET", "/metrics", nil))
	if !strings.Contains(answer.Body.String(), want) {
		t.Error("the decisions are not counted by how long they took")
	}
}
