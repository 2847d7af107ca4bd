package https

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"jackfield"
	"jackfield/internal/gateway"
	"jackfield/internal/listen"
)

func TestServesBothVersions(t *testing.T) {
	for _, test := range []struct {
		name      string
		plain, h2 bool
		want      string
	}{
		{"https with HTTP/1.1", false, false, "HTTP/1.1"},
		{"https with HTTP/2", false, true, "HTTP/2.0"},
		{"http", true, false, "HTTP/1.1"},
	} {
		t.Run(test.name, func(t *testing.T) {
			h := start(t, test.plain, nil)
			do := h.onOne(h.client(test.h2), test.h2, (*http.Request).Write)
			for range 3 {
				text, answer := getBy(t, do, h.url("/a"))
				if want := test.want + " " + h.address + " /a"; text != want || answer.StatusCode != 200 {
					t.Errorf("got %d %q, want %q", answer.StatusCode, text, want)
				}
				for name, want := range map[string]string{
					"X-Content-Type-Options": "nosniff", "Cache-Control": "no-store", "Referrer-Policy": "no-referrer",
					"Strict-Transport-Security": "",
				} {
					if got := answer.Header.Get(name); got != want {
						t.Errorf("%s is %q, want %q", name, got, want)
					}
				}
			}
			if n := h.connections(); n != 1 {
				t.Errorf("%d connections are open, want one", n)
			}
		})
	}
}

func (h *host) connections() int {
	h.Places.mu.Lock()
	defer h.Places.mu.Unlock()
	return h.Places.connections.all
}

// HTTP/2 without TLS is not spoken, neither by prior knowledge nor by an upgrade.
func TestNoH2WithoutTLS(t *testing.T) {
	h := start(t, true, nil)
	conn := h.dial()
	io.WriteString(conn, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
	if status, _ := readAnswer(t, conn); status != 400 {
		t.Errorf("prior knowledge was answered with %d", status)
	}
	conn = h.dial()
	io.WriteString(conn, "GET /up HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade, HTTP2-Settings\r\n"+
		"Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n")
	if status, text := readAnswer(t, conn); status != 200 || !strings.HasPrefix(text, "HTTP/1.1") {
		t.Errorf("an upgrade was answered with %d %q", status, text)
	}
}

// readAnswer reads one HTTP/1.1 answer; status 0: there was none.
func readAnswer(t *testing.T, conn net.Conn) (status int, text string) {
	t.Helper()
	return readNext(t, bufio.NewReader(conn))
}

func readNext(t *testing.T, r *bufio.Reader) (status int, text string) {
	t.Helper()
	answer, err := http.ReadResponse(r, nil)
	if err != nil {
		return 0, ""
	}
	defer answer.Body.Close()
	all, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Errorf("the answer's body: %v", err)
	}
	return answer.StatusCode, string(all)
}

// Handlers see the client that a trusted proxy names.
func TestSourceBehindProxy(t *testing.T) {
	for _, protocol := range []string{protocolH1, protocolH2} {
		t.Run(protocol, func(t *testing.T) {
			h := start(t, false, func(o *Options) {
				o.HTTP = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					fmt.Fprintf(w, "%s %s", r.RemoteAddr, ClientOf(r).Source)
				})
			})
			behind := *h.server
			behind.ProxyFrom = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
			if err := h.sockets.Swap([]*listen.Server{&behind}); err != nil {
				t.Fatal(err)
			}
			client := h.client(protocol == protocolH2)
			client.Transport.(*http.Transport).DialContext = func(context.Context, string, string) (net.Conn, error) {
				conn := h.dial()
				io.WriteString(conn, "PROXY TCP4 192.0.2.7 192.0.2.1 4711 443\r\n")
				return conn, nil
			}
			client.Transport.(*http.Transport).TLSClientConfig.ServerName = hostName
			if text, _ := get(t, client, "https://192.0.2.1/"); text != "192.0.2.7:4711 192.0.2.7:4711" {
				t.Errorf("got %q", text)
			}
		})
	}
}

// A second connection resumes the first one's TLS, in one round trip, in another generation too if the keys are given.
func TestResumption(t *testing.T) {
	h := start(t, false, func(o *Options) { o.TLS.SetSessionTicketKeys([][32]byte{{1}}) })
	cache := tls.NewLRUClientSessionCache(1)
	resumed := func() bool {
		conn := tls.Client(h.dial(), &tls.Config{RootCAs: h.roots, ServerName: hostName, ClientSessionCache: cache})
		defer conn.Close()
		io.WriteString(conn, "GET / HTTP/1.1\r\nHost: "+hostName+"\r\nConnection: close\r\n\r\n")
		if status, _ := readAnswer(t, conn); status != 200 {
			t.Fatalf("answered with %d", status)
		}
		return conn.ConnectionState().DidResume
	}
	if resumed() || !resumed() {
		t.Fatal("the second connection did not resume the first one's")
	}
	h.successor(h.Handler.Options.HTTP)
	h.Handler.Close()
	if !resumed() {
		t.Error("a connection of the next generation did not resume")
	}
}

// successor puts a next generation to work.
func (h *host) successor(handler http.Handler) *Handler {
	h.t.Helper()
	o := h.Handler.Options
	o.HTTP = handler
	next := New(o)
	h.t.Cleanup(next.Close)
	server := *h.server
	server.Handler = next
	if err := h.sockets.Swap([]*listen.Server{&server}); err != nil {
		h.t.Fatal(err)
	}
	return next
}

func TestOtherProtocols(t *testing.T) {
	h := start(t, false, func(o *Options) {
		o.Limits.Connections = 1
		o.ALPN = map[string]func(context.Context, *tls.Conn, *listen.Client){
			"jackfield-data/1": func(ctx context.Context, conn *tls.Conn, c *listen.Client) {
				defer conn.Close()
				defer context.AfterFunc(ctx, func() { conn.Close() })()
				io.Copy(conn, conn)
			},
		}
	})
	for range 3 { // they take no place of the listener's
		conn := h.dialTLS("jackfield-data/1")
		io.WriteString(conn, "hello")
		echo := make([]byte, 5)
		if _, err := io.ReadFull(conn, echo); err != nil || string(echo) != "hello" {
			t.Fatalf("got %q, %v", echo, err)
		}
	}
	if text, _ := get(t, h.client(true), h.url("/")); !strings.HasPrefix(text, "HTTP/2.0") {
		t.Errorf("got %q", text)
	}
}

func TestNoCommonProtocol(t *testing.T) {
	h := start(t, false, nil)
	conn := tls.Client(h.dial(), &tls.Config{RootCAs: h.roots, ServerName: hostName, NextProtos: []string{"spdy/1"}})
	if err := conn.Handshake(); err == nil || !strings.Contains(err.Error(), "no application protocol") { // the alert's name
		t.Errorf("got %v", err)
	}
}

func TestScreened(t *testing.T) {
	denied := screenFunc(func() error {
		return &jackfield.Error{Kind: jackfield.Denied, Message: "access denied", ID: "x-1"}
	})
	t.Run("https", func(t *testing.T) {
		h := start(t, false, func(o *Options) { o.Gateway = denied })
		h.expectReset()
	})
	t.Run("http", func(t *testing.T) {
		h := start(t, true, func(o *Options) { o.Gateway = denied })
		status, text := readAnswer(t, h.dial()) // no byte was sent
		var p problem
		if err := json.Unmarshal([]byte(text), &p); err != nil || status != 403 || p.ID != "x-1" || p.Kind != jackfield.Denied {
			t.Errorf("got %d %q, %v", status, text, err)
		}
	})
}

// expectReset connects and is reset at once, maybe before it knows that it is connected.
func (h *host) expectReset() {
	h.t.Helper()
	conn, err := net.Dial("tcp", h.address)
	if err == nil {
		defer conn.Close()
		conn.SetDeadline(time.Now().Add(patience))
		_, err = conn.Read(make([]byte, 1))
	}
	if !errors.Is(err, syscall.ECONNRESET) {
		h.t.Errorf("got %v, want a reset", err)
	}
}

func TestPlaces(t *testing.T) {
	for _, test := range []struct {
		name   string
		limits Limits
		reason string
	}{
		{"of the listener", Limits{Connections: 2}, ReasonConnections},
		{"of a source", Limits{PerSource: 2}, ReasonSource},
	} {
		t.Run(test.name, func(t *testing.T) {
			h := start(t, true, func(o *Options) { o.Limits = test.limits })
			var held []net.Conn
			for range 2 {
				conn := h.dial()
				io.WriteString(conn, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
				if status, _ := readAnswer(t, conn); status != 200 {
					t.Fatalf("answered with %d", status)
				}
				held = append(held, conn)
			}
			began := time.Now()
			for range 5 {
				h.expectReset()
			}
			await(t, "a line in the log", func() bool { return h.log.String() != "" })
			held[0].Close()
			await(t, "a place is free", func() bool { return h.connections() == 1 })
			if text, _ := get(t, h.client(false), h.url("/")); text == "" {
				t.Error("no answer after a place was free")
			}
			h.wantOneLine(strings.Count(h.log.String(), "reason="+test.reason), began)
		})
	}
}

func TestHandshakePlaces(t *testing.T) {
	h := start(t, false, func(o *Options) { o.Limits.HandshakesPerSource = 2 })
	for range 2 {
		h.dial()
	}
	await(t, "two handshakes are under way", func() bool {
		h.Places.mu.Lock()
		defer h.Places.mu.Unlock()
		return h.Places.handshakes.all == 2
	})
	h.expectReset()
}

func TestSourcesOfIPv6(t *testing.T) {
	var p Places
	l := Limits{PerSource: 1}.withDefaults()
	leave, reason := p.connect(netip.MustParseAddr("2001:db8::1"), &l)
	if reason != "" {
		t.Fatal(reason)
	}
	if _, reason := p.connect(netip.MustParseAddr("2001:db8::2"), &l); reason != ReasonSource {
		t.Errorf("another address of the same network: %q", reason)
	}
	if _, reason := p.connect(netip.MustParseAddr("2001:db8:0:1::1"), &l); reason != "" {
		t.Errorf("another network: %q", reason)
	}
	leave()
	leave()
	if _, reason := p.connect(netip.MustParseAddr("2001:db8::2"), &l); reason != "" || p.connections.all != 2 {
		t.Errorf("after it left: %q, %d", reason, p.connections.all)
	}
}

// CONNECT goes to its own handler, before any look at names, and the connection outlives its generation and the listener's
// limits.
func TestConnectByHijack(t *testing.T) {
	for _, plain := range []bool{true, false} {
		t.Run(fmt.Sprint("plain ", plain), func(t *testing.T) {
			h := start(t, plain, func(o *Options) {
				o.Limits.Grace = time.Millisecond
				o.Connect = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					stream, read, err := Hijack(w)
					if err != nil {
						t.Error(err)
						return
					}
					defer stream.Close()
					fmt.Fprintf(stream, "HTTP/1.1 200 %s\r\n\r\n%s", r.Host, read)
					io.Copy(stream, stream)
					stream.CloseWrite()
				})
			})
			conn := h.dialHTTP()
			io.WriteString(conn, "CONNECT console.fpga-1:1 HTTP/1.0\r\n\r\nearly")
			r := bufio.NewReader(conn)
			expect(t, r, "HTTP/1.1 200 console.fpga-1:1\r\n\r\nearly")
			h.successor(http.HandlerFunc(hello))
			h.Handler.Close()
			if n := h.connections(); n != 0 {
				t.Errorf("%d places are taken", n)
			}
			io.WriteString(conn, "late")
			expect(t, r, "late")
			conn.(jackfield.Stream).CloseWrite()
			if rest, err := io.ReadAll(r); err != nil || len(rest) > 0 {
				t.Errorf("at the end: %q, %v", rest, err)
			}
		})
	}
}

func expect(t *testing.T, r io.Reader, want string) {
	t.Helper()
	got := make([]byte, len(want))
	if _, err := io.ReadFull(r, got); err != nil || string(got) != want {
		t.Fatalf("got %q, %v; want %q", got, err, want)
	}
}

func TestConnectWithH2(t *testing.T) {
	t.Parallel()
	h := start(t, false, func(o *Options) {
		o.Limits.AnswerTimeout, o.Limits.Grace = 2*time.Second, time.Millisecond // must not matter
		o.Connect = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			control := http.NewResponseController(w)
			if err := control.Flush(); err != nil {
				t.Error(err)
			}
			buffer := make([]byte, 16)
			for {
				n, err := r.Body.Read(buffer)
				if _, err := w.Write(buffer[:n]); err != nil || control.Flush() != nil {
					return
				}
				if err != nil {
					return
				}
			}
		})
	})
	read, write := io.Pipe()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodConnect, h.url(""), read)
	if err != nil {
		t.Fatal(err)
	}
	request.Host = "console.fpga-1:1"
	answer, err := h.client(true).Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	closed := make(chan struct{})
	go func() { h.Handler.Close(); close(closed) }()
	for range 2 {
		io.WriteString(write, "hello")
		expect(t, answer.Body, "hello")
		time.Sleep(2500 * time.Millisecond) // a pause that a session may have
	}
	write.Close()
	if rest, err := io.ReadAll(answer.Body); err != nil || len(rest) > 0 {
		t.Errorf("at the end: %q, %v", rest, err)
	}
	<-closed
}

func TestConnectRefused(t *testing.T) {
	h := start(t, true, nil)
	conn := h.dial()
	io.WriteString(conn, "CONNECT web:80 HTTP/1.1\r\nHost: web:80\r\n\r\n")
	if status, text := readAnswer(t, conn); status != 405 || !strings.Contains(text, "CONNECT") {
		t.Errorf("got %d %q", status, text)
	}
	h = start(t, true, func(o *Options) {
		o.Connect = http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("reached the handler") })
	})
	conn = h.dial()
	io.WriteString(conn, "CONNECT /path HTTP/1.1\r\nHost: localhost\r\n\r\n")
	if status, _ := readAnswer(t, conn); status != 400 {
		t.Errorf("a path was answered with %d", status)
	}
}

func TestCrossOrigin(t *testing.T) {
	h := start(t, false, nil)
	for _, test := range []struct {
		name, header, value string
		want                int
	}{
		{"no browser", "X-Nothing", "x", 200},
		{"same origin", "Sec-Fetch-Site", "same-origin", 200},
		{"cross site", "Sec-Fetch-Site", "cross-site", 403},
		{"old browser, other origin", "Origin", "https://evil.example", 403},
		{"sandboxed", "Origin", "null", 403},
	} {
		t.Run(test.name, func(t *testing.T) {
			request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, h.url("/"), strings.NewReader("x"))
			if err != nil {
				t.Fatal(err)
			}
			request.Header.Set(test.header, test.value)
			answer, err := h.client(false).Do(request)
			if err != nil {
				t.Fatal(err)
			}
			answer.Body.Close()
			if answer.StatusCode != test.want {
				t.Errorf("got %d, want %d", answer.StatusCode, test.want)
			}
		})
	}
}

func TestPanicIsOurFault(t *testing.T) {
	h := start(t, true, func(o *Options) {
		o.NewID = func() string { return "x-1" }
		o.HTTP = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/late" {
				w.WriteHeader(200)
				http.NewResponseController(w).Flush()
			}
			panic("broken")
		})
	})
	text, answer := get(t, h.client(false), h.url("/"))
	if answer.StatusCode != 500 || !strings.Contains(text, "x-1") || strings.Contains(text, "broken") {
		t.Errorf("got %d %q", answer.StatusCode, text)
	}
	if log := h.log.String(); !strings.Contains(log, "broken") || !strings.Contains(log, "level=ERROR") {
		t.Errorf("log:\n%s", log)
	}
	late, err := h.client(false).Get(h.url("/late"))
	if err != nil {
		t.Fatal(err)
	}
	defer late.Body.Close()
	if _, err := io.ReadAll(late.Body); err == nil {
		t.Error("an answer that broke off looks whole")
	}
}

// Each refusal is counted for what it is.
func TestObserver(t *testing.T) {
	for reason, sends := range map[string]string{
		ReasonTarget:  "GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n",
		ReasonHeader:  "GET / HTTP/1.1\r\nHost: localhost\r\nX-A: " + strings.Repeat("a", 80<<10) + "\r\n\r\n",
		ReasonSilence: "",
	} {
		t.Run(reason, func(t *testing.T) {
			seen := make(observer, 10)
			h := start(t, false, func(o *Options) {
				o.Observer = seen
				o.Log = slog.New(slog.DiscardHandler)
				if reason == ReasonSilence {
					o.Limits.HeaderTimeout = 50 * time.Millisecond
				}
			})
			conn := h.dialTLS(protocolH1)
			io.WriteString(conn, sends)
			io.ReadAll(conn)
			conn.Close()
			events := []string{<-seen, <-seen, <-seen}
			slices.Sort(events)
			if want := []string{"closed test", "opened test", "refused test " + reason}; !slices.Equal(events, want) {
				t.Errorf("got %q, want %q", events, want)
			}
		})
	}
}

type observer chan string

func (o observer) ConnectionOpened(listener string) { o <- "opened " + listener }
func (o observer) ConnectionClosed(listener string) { o <- "closed " + listener }
func (o observer) ConnectionRefused(listener, reason string) {
	o <- "refused " + listener + " " + reason
}

var _ Screener = (*gateway.Gateway)(nil)
