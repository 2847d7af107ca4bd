package e2e

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

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
	{"CONNECT", connectMethod, "target"},
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
			goroutines, descriptors := s.metric(t, "go_goroutines "), countDescriptors(t, s.Server)
			refused := 0.0
			if h.reason != "" {
				refused = s.refusals(t, "web", h.reason)
			}
			b.during(t, func() {
				t.Run("harm", func(t *testing.T) { h.do(t, s) }) // its clients are gone after it
			})
			b.goesOn(t)
			if h.reason != "" && s.refusals(t, "web", h.reason) <= refused {
				t.Errorf("no refusal for the reason %q is counted", h.reason)
			}
			if !eventually(func() bool {
				return s.metric(t, "go_goroutines ") <= goroutines && countDescriptors(t, s.Server) <= descriptors
			}) {
				t.Errorf("%v goroutines and %d descriptors have become %v and %d", goroutines, descriptors,
					s.metric(t, "go_goroutines "), countDescriptors(t, s.Server))
			}
		})
	}
	if grown := s.peak(t) - memory; grown > moreMemory {
		t.Errorf("the server has had %d bytes more than before", grown)
	}
	if grown := s.metric(t, nextGC) - heap; grown > 2*moreHeap {
		t.Errorf("the server keeps some %v bytes more than before", grown/2)
	}
	s.checkRefusals(t, time.Since(begun), "plain_http", "tls", "source", "framing", "target", "origin")
	if n := s.metric(t, `jackfield_api_calls_total{method="other"`); n != 0 {
		t.Errorf("%v smuggled requests have reached the API", n)
	}
}

// nextGC is how large the heap grows before the next collection: twice what was in use after the last.
const nextGC = "go_memstats_next_gc_bytes "

// checkRefusals wants lines of each reason in the log: the first, and then one in ten seconds.
func (s *site) checkRefusals(t *testing.T, in time.Duration, reasons ...string) {
	t.Helper()
	most := 1 + int(in/(10*time.Second))
	for _, reason := range reasons {
		lines := live.Select(s.Output(), live.Equal("level", "INFO"), live.Equal("reason", reason))
		if len(lines) == 0 || len(lines) > most {
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
	old := tls.Client(s.dial(t, hostile, "web"), &tls.Config{RootCAs: s.roots, ServerName: "127.0.0.1", MaxVersion: tls.VersionTLS12})
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
				if got, err := http.ReadResponse(bufio.NewReader(conn), nil); err != nil || got.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
					t.Errorf("%.20q is answered with %v, %v", field, got, err)
				}
			})
		}
	}
	all.Wait()
}

// An h2conn is a connection of HTTP/2 whose preface was sent.
type h2conn struct {
	*tls.Conn
	*http2.Framer
}

func beginH2(t *testing.T, s *site) h2conn {
	t.Helper()
	conn := s.dialTLS(t, "h2")
	if got := conn.ConnectionState().NegotiatedProtocol; got != "h2" {
		t.Fatalf("ALPN gives %q", got)
	}
	io.WriteString(conn, http2.ClientPreface)
	framer := http2.NewFramer(conn, conn)
	if err := framer.WriteSettings(); err != nil {
		t.Fatal(err)
	}
	return h2conn{conn, framer}
}

func block(fields ...string) []byte {
	var text bytes.Buffer
	encoder := hpack.NewEncoder(&text)
	for i := 0; i < len(fields); i += 2 {
		encoder.WriteField(hpack.HeaderField{Name: fields[i], Value: fields[i+1], Sensitive: true}) // not compressed
	}
	return text.Bytes()
}

// status reads until there is an answer; 0: there is none.
func (c h2conn) status() string {
	status := ""
	decoder := hpack.NewDecoder(4096, func(f hpack.HeaderField) {
		if f.Name == ":status" {
			status = f.Value
		}
	})
	for {
		frame, err := c.ReadFrame()
		if err != nil {
			return "closed"
		}
		if headers, is := frame.(*http2.HeadersFrame); is {
			decoder.Write(headers.HeaderBlockFragment())
			return status
		}
	}
}

func hugeHeaderH2(t *testing.T, s *site) {
	conn := beginH2(t, s)
	fields := block(":method", "GET", ":scheme", "https", ":authority", "localhost", ":path", "/api/v1/me")
	var sending sync.WaitGroup
	sending.Go(func() {
		conn.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: fields, EndStream: true})
		for range 10 << 20 / (16 << 10) {
			if conn.WriteContinuation(1, false, block("x-a", strings.Repeat("a", 16000))) != nil {
				return
			}
		}
	})
	if got := conn.status(); got != "431" && got != "closed" {
		t.Errorf("answered with %s", got)
	}
	conn.NetConn().Close()
	sending.Wait()
}

// smuggled is a request that must never reach the API.
const smuggled = "GET /smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n"

// Forms of request smuggling (RFC 9112, section 11.2): two readers may see the end of the request in different places.
func smuggling(t *testing.T, s *site) {
	const head = "POST /api/v1/login HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
	for name, sent := range map[string]string{
		"length and chunks":   head + "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + smuggled,
		"chunks and length":   head + "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n" + smuggled,
		"two lengths":         head + "Content-Length: 0\r\nContent-Length: 44\r\n\r\n" + smuggled,
		"same length twice":   head + "Content-Length: 2\r\nContent-Length: 2\r\n\r\n{}" + smuggled,
		"signed length":       head + "Content-Length: +2\r\n\r\n{}" + smuggled,
		"two codings":         head + "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n" + smuggled,
		"odd coding":          head + "Transfer-Encoding: \vchunked\r\n\r\n0\r\n\r\n" + smuggled,
		"old chunks":          "POST /api/v1/login HTTP/1.0\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + smuggled,
		"folded field":        head + "X-A: b\r\n\tc\r\n\r\n" + smuggled,
		"folded coding":       head + "Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n" + smuggled,
		"bare line feeds":     "GET /api/v1/health HTTP/1.1\nHost: localhost\n\n" + smuggled,
		"one bare line feed":  head + "X-A: b\nContent-Length: 44\r\n\r\n" + smuggled,
		"bare CR":             head + "X-A: b\rContent-Length: 44\r\n\r\n" + smuggled,
		"NUL in a value":      head + "X-A: b\x00c\r\n\r\n" + smuggled,
		"space before colon":  head + "Content-Length : 44\r\n\r\n" + smuggled,
		"two hosts":           "GET /api/v1/health HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n\r\n" + smuggled,
		"HTTP/0.9":            "GET /api/v1/health\r\n\r\n" + smuggled,
		"ambiguous afterward": "GET /api/v1/health HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\nContent-Length: 44\r\n\r\n" + smuggled,
	} {
		conn := s.dialTLS(t, "http/1.1")
		io.WriteString(conn, sent)
		if got := statuses(t, conn); got != "400" {
			t.Errorf("%s: answered with %s", name, got)
		}
	}
}

// smuggledBehindChunks: what comes after chunks, of which the end may be read in two ways, is never read as a request.
func smuggledBehindChunks(t *testing.T, s *site) {
	const head = "POST /api/v1/login HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
	for name, body := range map[string]string{
		"in order":                   "2\r\n{}\r\n0\r\n\r\n",
		"extension":                  "2;a=b\r\n{}\r\n0\r\n\r\n",
		"extension with a line feed": "2;a\n{}\r\n0\r\n\r\n",
		"signed size":                "+2\r\n{}\r\n0\r\n\r\n",
		"hexadecimal prefix":         "0x2\r\n{}\r\n0\r\n\r\n",
		"size that wraps":            "10000000000000002\r\n{}\r\n0\r\n\r\n",
		"line feeds":                 "2\n{}\n0\n\n",
		"trailer":                    "2\r\n{}\r\n0\r\nContent-Length: 44\r\n\r\n",
		"without end":                "2\r\n{}\r\n0\r\n",
	} {
		conn := s.dialTLS(t, "http/1.1")
		io.WriteString(conn, head+body+smuggled)
		if got := statuses(t, conn); got != "400" {
			t.Errorf("%s: answered with %s", name, got)
		}
	}
}

// statuses are those of all answers until the connection ends.
func statuses(t *testing.T, conn io.Reader) string {
	t.Helper()
	text, err := io.ReadAll(conn)
	if err != nil && !errors.Is(err, syscall.ECONNRESET) {
		t.Fatalf("after %q: %v", text, err)
	}
	var list []string
	for line := range strings.Lines(string(text)) {
		if status, is := strings.CutPrefix(line, "HTTP/1.1 "); is {
			list = append(list, status[:3])
		}
	}
	return strings.Join(list, " ")
}

func foreignHosts(t *testing.T, s *site) {
	for _, sent := range []string{
		"GET /api/v1/health HTTP/1.1\r\nHost: evil.example\r\n\r\n",
		"GET /api/v1/health HTTP/1.1\r\nHost: localhost.evil.example\r\n\r\n",
		"GET /api/v1/health HTTP/1.1\r\nHost: 127.0.0.1.evil.example:443\r\n\r\n",
		"GET http://localhost/api/v1/health HTTP/1.1\r\nHost: localhost\r\n\r\n",
		"GET https://" + s.Addresses["web"] + "/api/v1/health HTTP/1.1\r\nHost: " + s.Addresses["web"] + "\r\n\r\n",
		"GET http://169.254.169.254/latest/meta-data HTTP/1.1\r\nHost: localhost\r\n\r\n",
	} {
		conn := s.dialTLS(t, "http/1.1")
		io.WriteString(conn, sent)
		if got := readAnswer(t, conn); got.status != http.StatusMisdirectedRequest || got.problem.ID == "" {
			t.Errorf("%q is answered with %d %+v", sent, got.status, got.problem)
		}
	}
	conn := beginH2(t, s)
	fields := block(":method", "GET", ":scheme", "https", ":authority", "evil.example", ":path", "/api/v1/health")
	conn.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: fields, EndStream: true, EndHeaders: true})
	if got := conn.status(); got != "421" {
		t.Errorf("HTTP/2: answered with %s", got)
	}
}

func connectMethod(t *testing.T, s *site) {
	for _, target := range []string{"127.0.0.1:22", "echo:1"} {
		conn := s.dialTLS(t, "http/1.1")
		io.WriteString(conn, "CONNECT "+target+" HTTP/1.1\r\nHost: "+target+"\r\n\r\n")
		if got := readAnswer(t, conn); got.status != http.StatusMethodNotAllowed || got.header.Get("Allow") == "" {
			t.Errorf("%s: answered with %d %v", target, got.status, got.header)
		}
	}
}

func foreignOrigin(t *testing.T, s *site) {
	c := s.client(t, hostile)
	for _, fields := range [][]string{
		{"Origin", "https://evil.example"},
		{"Origin", "null"},
		{"Sec-Fetch-Site", "cross-site"},
		{"Sec-Fetch-Site", "same-site"},
	} {
		got := callAPI(t, c, http.MethodPost, s.url("web", "/login"), `{"user":"bystander","password":"x"}`, fields...)
		if got.status != http.StatusForbidden || got.problem.ID == "" {
			t.Errorf("%v: answered with %d %+v", fields, got.status, got.problem)
		}
	}
}

// rapidReset opens streams and resets each at once (CVE-2023-44487).
func rapidReset(t *testing.T, s *site) {
	conn := beginH2(t, s)
	fields := block(":method", "GET", ":scheme", "https", ":authority", "localhost", ":path", "/api/v1/health")
	var reading sync.WaitGroup
	reading.Go(func() { io.Copy(io.Discard, conn.Conn) })
	for i := range uint32(5000) {
		err := conn.WriteHeaders(http2.HeadersFrameParam{StreamID: 2*i + 1, BlockFragment: fields, EndStream: true, EndHeaders: true})
		if err == nil {
			err = conn.WriteRSTStream(2*i+1, http2.ErrCodeCancel)
		}
		if err != nil {
			break // the server has had enough
		}
	}
	conn.NetConn().Close()
	reading.Wait()
}

func badBodies(t *testing.T, s *site) {
	c, url := s.client(t, hostile), s.url("web", "/login")
	large := `{"user":"` + strings.Repeat("a", 2<<20) + `"}`
	for name, test := range map[string]struct {
		body, contentType string
		status            int
		says              string
	}{
		"2 MiB":              {large, "application/json", 413, "1048576 bytes"},
		"form":               {"user=a&password=b", "application/x-www-form-urlencoded", 415, "application/json"},
		"text":               {`{"user":"a","password":"b"}`, "text/plain", 415, "application/json"},
		"no type":            {`{"user":"a","password":"b"}`, "", 415, "application/json"},
		"unknown field":      {`{"user":"a","password":"b","pasword":"c"}`, "application/json", 400, "pasword"},
		"deep nesting":       {`{"user":` + strings.Repeat("[", 1<<19), "application/json", 400, ""},
		"deep objects":       {strings.Repeat(`{"user":`, 1<<16), "application/json", 400, ""},
		"cut off":            {`{"user":"a`, "application/json", 400, "ends"},
		"two values":         {`{"user":"a","password":"b"}{}`, "application/json", 400, "goes on"},
		"wrong type":         {`{"user":17}`, "application/json", 400, "user"},
		"list":               {`[]`, "application/json", 400, "object"},
		"no text":            {"\xff\xfe\x00", "application/json", 400, "JSON"},
		"nothing":            {" ", "application/json", 400, "ends"},
		"neither nor":        {`{}`, "application/json", 400, "password"},
		"password and token": {`{"user":"a","password":"b","token":"c"}`, "application/json", 400, "either"},
	} {
		t.Run(name, func(t *testing.T) {
			got := callAPI(t, c, http.MethodPost, url, test.body, "Content-Type", test.contentType)
			if got.status != test.status || !strings.Contains(got.problem.Detail, test.says) {
				t.Errorf("answered with %d %+v", got.status, got.problem)
			}
			s.told(t, got.problem)
		})
	}
	t.Run("2 MiB in chunks", func(t *testing.T) {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, io.MultiReader(strings.NewReader(large)))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/json")
		answer, err := c.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		if got := readReply(t, answer); got.status != http.StatusRequestEntityTooLarge {
			t.Errorf("answered with %d %+v", got.status, got.problem)
		} else {
			s.told(t, got.problem)
		}
	})
}

// TestWebSlow has clients that never finish what they begin, all at once: each is ended when its ten seconds are over.
func TestWebSlow(t *testing.T) {
	t.Parallel()
	s := startSite(t, siteConfig)
	b := s.bystander(t)
	descriptors := countDescriptors(t, s.Server)
	b.during(t, func() {
		var all sync.WaitGroup
		for name, begin := range map[string]func() (net.Conn, string){
			"handshake that is not begun": func() (net.Conn, string) { return s.dial(t, hostile, "web"), "" },
			"handshake that never ends":   func() (net.Conn, string) { return s.dial(t, hostile, "web"), "\x16\x03\x01\x40\x00" },
			"no request":                  func() (net.Conn, string) { return s.dialTLS(t, "http/1.1"), "" },
			"slow header":                 func() (net.Conn, string) { return s.dialTLS(t, "http/1.1"), "GET / HTTP/1.1\r\nX-A: " },
			"slow header without TLS":     func() (net.Conn, string) { return s.dial(t, hostile, "plain"), "GET / HTTP/1.1\r\nX-A: " },
			"slow second header": func() (net.Conn, string) {
				return s.dial(t, hostile, "plain"), "GET /api/v1/health HTTP/1.1\r\nHost: localhost\r\n\r\nGET / HTTP/1.1\r\nX-A: "
			},
			"HTTP/2 without a request": func() (net.Conn, string) { return beginH2(t, s).Conn, "" },
		} {
			conn, sent := begin()
			all.Go(func() {
				if err := dribble(conn, sent); err != nil {
					t.Errorf("%s: %v", name, err)
				}
			})
		}
		all.Wait()
	})
	b.goesOn(t)
	if !eventually(func() bool { return countDescriptors(t, s.Server) <= descriptors }) {
		t.Errorf("%d descriptors have become %d", descriptors, countDescriptors(t, s.Server))
	}
	lines := live.Select(s.Output(), live.Equal("reason", "timeout"))
	if len(lines) != 1 {
		t.Errorf("the log has %d lines for handshakes that were not ended in time", len(lines))
	}
}

// dribble goes on with what was begun, a byte at a time, until the server ends the connection.
func dribble(conn net.Conn, begun string) error {
	if begun != "" {
		if _, err := io.WriteString(conn, begun); err != nil {
			return err
		}
	}
	ended := make(chan error, 1)
	go func() { _, err := io.Copy(io.Discard, conn); ended <- err }()
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case err := <-ended:
			if timeout, is := errors.AsType[net.Error](err); is && timeout.Timeout() {
				return errors.New("the connection was left open")
			}
			return nil
		case <-tick.C:
			if begun != "" {
				io.WriteString(conn, "x") // may fail: then the read does, too
			}
		}
	}
}

// TestWebConnections has more connections than the listener may have, from many addresses: those who are there go on, those
// who come are reset, and when the others have gone they are served.
func TestWebConnections(t *testing.T) {
	t.Parallel()
	s := startSite(t, siteConfig)
	secret := s.token(t, "ada")
	kept := s.client(t, "127.0.0.1")
	me := func() (int, error) {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.url("plain", "/me"), nil)
		if err != nil {
			return 0, err
		}
		r.Header.Set("Authorization", "Bearer "+secret)
		answer, err := kept.Do(r)
		if err != nil {
			return 0, err
		}
		defer answer.Body.Close()
		_, err = io.Copy(io.Discard, answer.Body)
		return answer.StatusCode, err
	}
	if status, err := me(); status != http.StatusOK {
		t.Fatal(status, err)
	}
	const most, perSource, come = 1000, 100, 1100
	crowd := make([]*net.TCPConn, 0, come)
	for i := range come {
		conn, err := dialFrom(t.Context(), fmt.Sprintf("127.0.0.%d", 2+i/perSource), s.Addresses["plain"])
		if errors.Is(err, syscall.ECONNRESET) {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		crowd = append(crowd, conn)
		io.WriteString(conn, "GET /api/v1/health HTTP/1.1\r\nHost: "+s.Addresses["plain"]+"\r\n\r\n")
	}
	served := 1
	for _, conn := range crowd {
		if _, err := conn.Read(make([]byte, 1)); err == nil {
			served++
		}
	}
	if open := s.metric(t, `jackfield_http_connections{listener="plain"} `); served != most || open != most {
		t.Errorf("%d connections are served and %v open, and not %d", served, open, most)
	}
	if n := s.refusals(t, "plain", "connections"); n != come-most+1 {
		t.Errorf("%v refusals are counted", n)
	}
	if status, err := me(); status != http.StatusOK {
		t.Errorf("who was there is answered with %d, %v", status, err)
	}
	if got, err := s.bearer(t, secret).Me(t.Context()); err != nil || got.User != "ada" {
		t.Errorf("the other listener answers with %+v, %v", got, err)
	}
	for _, conn := range crowd {
		conn.Close()
	}
	if !eventually(func() bool { return s.metric(t, `jackfield_http_connections{listener="plain"} `) == 1 }) {
		t.Error("connections are left")
	}
	late := s.client(t, "127.0.0.3")
	if got := callAPI(t, late, http.MethodGet, s.url("plain", "/health"), ""); got.status != http.StatusOK {
		t.Errorf("who comes later is answered with %d", got.status)
	}
}
