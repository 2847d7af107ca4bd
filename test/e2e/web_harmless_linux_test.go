package e2e

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"jackfield/test/live"
)

// A webHarm is bad input on the port of the API, from a hostile address.
type webHarm struct {
	name   string
	do     func(*testing.T, *site)
	reason string // for which the listener refuses it; empty: it does not, or net/http does
}

var webHarms = []webHarm{
	{"HTTP without TLS", plainOnTLS, "plain_http"},
	{"no TLS at all", garbageOnTLS, "tls"},
	{"gone in the handshake", goneInTheHandshake, ""},
	{"half-open in the handshake", halfOpenHandshake, ""},
	{"more handshakes than a source may have", manyHandshakes, "source"},
	{"10 MB of header", hugeHeader, ""},
	{"10 MB of header in HTTP/2", hugeHeaderH2, ""},
	{"request smuggling", smuggling, "framing"},
	{"request behind chunks", smuggledBehindChunks, ""},
	{"foreign hosts", foreignHosts, "target"},
	{"CONNECT", connectMethod, ""},
	{"foreign origin", foreignOrigin, "origin"},
	{"HTTP/2 rapid reset", rapidReset, ""},
	{"bad bodies", badBodies, ""},
}

// How much more memory the server may have had during all of it, and may use after it. The first has room for a race detector;
// all headers of 10 MB together would not fit.
const (
	moreMemory = 128 << 20
	moreHeap   = 16 << 20
)

// spareGoroutines are those of one connection: the bystander's client may keep a second one, if the first was busy for a moment.
const spareGoroutines = 4

// TestWebHarmless does its worst to the API's port. A bystander is served all the time; what was refused is counted, and has
// one line of each reason in the log; and the server gives back all that it took.
func TestWebHarmless(t *testing.T) {
	t.Parallel()
	s := startSite(t, siteConfig)
	b := s.bystander(t)
	b.during(t, func() { refuse(t, s) }) // so that the first harm is not the first request
	begun, memory, heap := time.Now(), s.peak(t), s.metric(t, nextGC)
	for _, h := range webHarms {
		t.Run(h.name, func(t *testing.T) {
			running := func() int { return int(s.metric(t, "go_goroutines ")) }
			goroutines, descriptors := usual(running), countDescriptors(t, s.Server)
			refused := 0.0
			if h.reason != "" {
				refused = s.refusals(t, "web", h.reason)
			}
			b.during(t, func() {
				t.Run("harm", func(t *testing.T) { h.do(t, s) }) // its clients are gone after it
			})
			b.goesOn(t)
			if h.reason != "" && !eventually(func() bool { return s.refusals(t, "web", h.reason) > refused }) {
				t.Errorf("no refusal for the reason %q is counted", h.reason)
			}
			if !eventually(func() bool {
				return running() <= goroutines+spareGoroutines && countDescriptors(t, s.Server) <= descriptors+1
			}) {
				t.Errorf("%v goroutines and %d descriptors have become %v and %d", goroutines, descriptors,
					running(), countDescriptors(t, s.Server))
			}
		})
	}
	if grown := s.peak(t) - memory; grown > moreMemory {
		t.Errorf("the server has had %d bytes more than before", grown)
	}
	if grown := s.metric(t, nextGC) - heap; grown > 2*moreHeap {
		t.Errorf("the server keeps some %v bytes more than before", grown/2)
	}
	s.checkRefusals(t, begun, "plain_http", "tls", "source", "framing", "target", "origin")
	if n := s.metric(t, `jackfield_api_calls_total{method="other"`); n != 0 {
		t.Errorf("%v smuggled requests have reached the API", n)
	}
}

// nextGC is how large the heap grows before the next collection: twice what was in use after the last.
const nextGC = "go_memstats_next_gc_bytes "

// checkRefusals wants lines of each reason in the log, since they began: the first, and then one in ten seconds.
func (s *site) checkRefusals(t *testing.T, begun time.Time, reasons ...string) {
	t.Helper()
	for _, reason := range reasons {
		told := []live.Test{live.Equal("level", "INFO"), live.Equal("reason", reason)}
		awaitLog(t, s.Server, told...)
		lines := live.Select(s.Output(), told...)
		if most := 1 + int(time.Since(begun)/(10*time.Second)); len(lines) > most {
			t.Errorf("the log has %d lines for the reason %q, and not 1 to %d", len(lines), reason, most)
		}
	}
}

// refuse has a call refused.
func refuse(t *testing.T, s *site) {
	got := callAPI(t, s.client(t, hostile), http.MethodGet, s.url("web", "/me"), "")
	if got.status != http.StatusUnauthorized {
		t.Errorf("status %d", got.status)
	}
	s.told(t, got.problem)
}

func plainOnTLS(t *testing.T, s *site) {
	for _, sent := range []string{
		"GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n",
		"POST /api/v1/login HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 2\r\n\r\n{}",
		"CONNECT web:80 HTTP/1.1\r\n\r\n",
		"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
	} {
		conn := s.dial(t, hostile, "web")
		io.WriteString(conn, sent)
		got := readAnswer(t, conn)
		if got.status != http.StatusBadRequest || !strings.Contains(got.problem.Detail, "https://"+s.Addresses["web"]) {
			t.Errorf("%q is answered with %d %q", sent, got.status, got.problem.Detail)
		}
	}
}

func garbageOnTLS(t *testing.T, s *site) {
	for _, sent := range []string{
		strings.Repeat("\xff\x00", 1000),
		"SSH-2.0-OpenSSH_9.2\r\n",
		"\x16\x03\x01\x40\x00" + strings.Repeat("\x01", 300),
		"\x16\x03\x01\xff\xff",
		"\x80\x2e\x01\x03\x01\x00\x15\x00\x00\x00\x10", // SSLv2
	} {
		conn := s.dial(t, hostile, "web")
		io.WriteString(conn, sent)
		conn.CloseWrite()
		got, err := io.ReadAll(conn)
		if err != nil && !errors.Is(err, syscall.ECONNRESET) || bytes.Contains(got, []byte("HTTP")) {
			t.Errorf("%.20q is answered with %q, %v", sent, got, err)
		}
	}
	old := tls.Client(s.dial(t, hostile, "web"), &tls.Config{
		RootCAs: s.roots, ServerName: "127.0.0.1", MaxVersion: tls.VersionTLS12,
	})
	if err := old.HandshakeContext(t.Context()); err == nil || !strings.Contains(err.Error(), "protocol version") {
		t.Errorf("TLS 1.2: %v", err)
	}
}

func goneInTheHandshake(t *testing.T, s *site) {
	for i := range 40 {
		conn := s.dial(t, hostile, "web")
		if i%2 == 0 {
			conn.Write([]byte("\x16\x03\x01\x01\x00\x01"))
		}
		conn.SetLinger(0)
		conn.Close()
	}
}

func halfOpenHandshake(t *testing.T, s *site) {
	for _, sent := range []string{"", "\x16\x03\x01\x01\x00\x01"} {
		conn := s.dial(t, hostile, "web")
		io.WriteString(conn, sent)
		conn.CloseWrite()
		if got, err := io.ReadAll(conn); errors.Is(err, syscall.ETIMEDOUT) || bytes.Contains(got, []byte("HTTP")) {
			t.Errorf("after %q: %q, %v", sent, got, err)
		}
	}
}

// manyHandshakes are begun and not ended.
func manyHandshakes(t *testing.T, s *site) {
	var reset int
	for range 60 {
		conn, err := dialFrom(t.Context(), hostile, s.Addresses["web"])
		if errors.Is(err, syscall.ECONNRESET) {
			reset++
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
	}
	eventually(func() bool { return s.refusals(t, "web", "source") >= 60-32 })
	if got := s.refusals(t, "web", "source"); got != 60-32 {
		t.Errorf("%v of 60 handshakes are refused", got)
	}
}

func hugeHeader(t *testing.T, s *site) {
	var all sync.WaitGroup
	for _, field := range []string{
		"X-A: " + strings.Repeat("a", 10<<20) + "\r\n",
		strings.Repeat("X-A: a\r\n", 10<<20/8),
		"Authorization: Bearer " + strings.Repeat("a", 10<<20) + "\r\n",
	} {
		for range 8 {
			conn := s.dialTLS(t, "http/1.1")
			var sending sync.WaitGroup
			sending.Go(func() { io.WriteString(conn, "GET /api/v1/me HTTP/1.1\r\nHost: localhost\r\n"+field+"\r\n") })
			all.Go(func() {
				defer sending.Wait()
				defer conn.NetConn().Close()
				got, err := http.ReadResponse(bufio.NewReader(conn), nil)
				if err != nil || got.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
					t.Errorf("%.20q is answered with %v, %v", field, got, err)
				}
			})
		}
	}
	all.Wait()
}
