package https

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/net/http2"

	"jackfield/internal/listen"
	"jackfield/test/live"
)

// stillServes holds that nothing else was disturbed.
func (h *host) stillServes() {
	h.t.Helper()
	if text, answer := get(h.t, h.client(h.roots != nil), h.url("/fine")); answer.StatusCode != 200 || text == "" {
		h.t.Errorf("other clients are answered with %d %q", answer.StatusCode, text)
	}
	await(h.t, "no handshake is under way", func() bool {
		h.Places.mu.Lock()
		defer h.Places.mu.Unlock()
		return h.Places.handshakes.all == 0 && len(h.Places.handshakes.each) == 0
	})
}

func TestPlainHTTPOnTLS(t *testing.T) {
	h := start(t, false, nil)
	for _, sent := range []string{
		"GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n",
		"CONNECT web:80 HTTP/1.1\r\n\r\n",
		"POST /" + strings.Repeat("a", 3000) + " HTTP/1.1\r\n\r\n",
	} {
		conn := h.dial()
		io.WriteString(conn, sent)
		status, text := readAnswer(t, conn)
		_, port, _ := net.SplitHostPort(h.address)
		if status != 400 || !strings.Contains(text, "https://"+hostName+":"+port) || strings.Contains(text, "evil") {
			t.Errorf("%.20q is answered with %d %q", sent, status, text)
		}
	}
	h.stillServes()
}

// Garbage gets no words of HTTP, and a flood of it one line in the log.
func TestGarbageOnTLS(t *testing.T) {
	h := start(t, false, nil)
	random := make([]byte, 2000)
	rand.Read(random)
	random[0] = 0xff
	began := time.Now()
	for _, sent := range [][]byte{
		random,
		[]byte("SSH-2.0-OpenSSH_9.2\r\n"),
		[]byte("GETAWAY"),
		[]byte("\x16\x03\x01\x40\x00" + strings.Repeat("\x01", 300)),
		[]byte("\x16\x03\x01\xff\xff"),
		[]byte("\x80\x2e\x01\x03\x01\x00\x15\x00\x00\x00\x10"), // SSLv2
		bytes.Repeat([]byte{0}, 5),
	} {
		conn := h.dial()
		conn.Write(sent)
		conn.CloseWrite()
		got, err := io.ReadAll(conn)
		if err != nil && !errors.Is(err, syscall.ECONNRESET) || bytes.Contains(got, []byte("HTTP")) {
			t.Errorf("%.20q is answered with %q, %v", sent, got, err)
		}
	}
	h.stillServes()
	h.wantOneLine(strings.Count(h.log.String(), "\n"), began)
}

func TestHandshakeThatStops(t *testing.T) {
	t.Parallel()
	h := start(t, false, func(o *Options) { o.Limits.HandshakeTimeout = 5 * time.Second })
	silent, begun := h.dial(), h.dial()
	begun.Write([]byte("\x16\x03\x01\x01\x00\x01"))
	for name, conn := range map[string]net.Conn{"silent": silent, "begun": begun} {
		if _, err := conn.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("%s: got %v, want a reset", name, err)
		}
	}
	gone := h.dial()
	gone.Write([]byte("\x16\x03\x01\x01"))
	gone.SetLinger(0)
	gone.Close()
	patient := start(t, false, nil)
	half := patient.dial()
	half.CloseWrite()
	if got, err := io.ReadAll(half); err != nil || len(got) > 0 {
		t.Errorf("half-open: %q, %v", got, err)
	}
	h.stillServes()
	patient.stillServes()
}

// A client that never finishes its header is closed in time, whether it sends a little now and then or nothing.
func TestSlowHeaders(t *testing.T) {
	t.Parallel()
	for _, plain := range []bool{true, false} {
		t.Run(fmt.Sprint("plain ", plain), func(t *testing.T) {
			t.Parallel()
			h := start(t, plain, func(o *Options) {
				o.Limits.HeaderTimeout, o.Limits.IdleTimeout = 5*time.Second, 5*time.Second
			})
			begins := []string{"", "GET / HTTP/1.1\r\nX-A: ", smuggled, smuggled + "GET"}
			if !plain {
				begins = begins[1:2]
			}
			t.Run("dribble", func(t *testing.T) {
				for _, begin := range begins {
					t.Run(fmt.Sprintf("%q", begin), func(t *testing.T) {
						t.Parallel()
						dribble(t, h.dialHTTP(), begin)
					})
				}
			})
			h.stillServes()
		})
	}
}

// dribble sends a beginning, and bytes without end after it if it is one of a header, until the connection is closed.
func dribble(t *testing.T, conn net.Conn, begin string) {
	io.WriteString(conn, begin)
	over := make(chan struct{})
	var drip sync.WaitGroup
	drip.Go(func() { // until it has no effect any more
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-over:
				return
			case <-tick.C:
				if begin != "" && begin != smuggled {
					io.WriteString(conn, "x")
				}
			}
		}
	})
	_, err := io.ReadAll(conn)
	close(over)
	drip.Wait()
	if errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error("the connection was left open")
	}
}

// HTTP/2 has no header timeout in net/http; a connection that never brings a request is closed all the same.
func TestSilentH2(t *testing.T) {
	t.Parallel()
	h := start(t, false, func(o *Options) { o.Limits.HeaderTimeout = 5 * time.Second })
	conn := h.dialTLS(protocolH2)
	beginH2(t, conn)
	if _, err := io.ReadAll(conn); errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error("the connection was left open")
	}
	h.stillServes()
}

func TestSlowBody(t *testing.T) {
	t.Parallel()
	for _, h2 := range []bool{false, true} {
		t.Run(fmt.Sprint("HTTP/2 ", h2), func(t *testing.T) {
			result := make(chan error, 1)
			h := start(t, false, func(o *Options) {
				o.Limits.BodyTimeout = 100 * time.Millisecond
				o.HTTP = http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
					_, err := io.ReadAll(r.Body)
					result <- err
				})
			})
			read, write := io.Pipe()
			defer write.Close()
			request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, h.url("/"), read)
			if err != nil {
				t.Fatal(err)
			}
			request.ContentLength = 10
			go io.WriteString(write, "abc")
			if answer, err := h.client(h2).Do(request); err == nil {
				answer.Body.Close()
			}
			if err := <-result; !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("the handler got %v", err)
			}
		})
	}
}

// The body's deadline ends with the body: it does not end a handler that goes on.
func TestBodyDeadlineEndsWithBody(t *testing.T) {
	t.Parallel()
	for _, h2 := range []bool{false, true} {
		t.Run(fmt.Sprint("HTTP/2 ", h2), func(t *testing.T) {
			t.Parallel()
			h := start(t, false, func(o *Options) {
				o.Limits.BodyTimeout = 5 * time.Second
				o.HTTP = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					io.Copy(io.Discard, r.Body)
					select {
					case <-r.Context().Done():
						t.Error("the request was ended")
					case <-time.After(5500 * time.Millisecond):
					}
				})
			})
			answer, err := h.client(h2).Post(h.url("/"), "text/plain", strings.NewReader("x"))
			if err != nil {
				t.Fatal(err)
			}
			answer.Body.Close()
		})
	}
}

// A client that does not take its answer does not hold the handler; one that is flushed goes on as long as it is taken.
func TestSlowReader(t *testing.T) {
	t.Parallel()
	for _, h2 := range []bool{false, true} {
		t.Run(fmt.Sprint("HTTP/2 ", h2), func(t *testing.T) {
			over := make(chan struct{})
			h := start(t, !h2, func(o *Options) { // with TLS, 5 s for the alert at the end come on top
				o.Limits.AnswerTimeout = 2 * time.Second
				o.HTTP = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					defer close(over)
					for chunk := make([]byte, 64<<10); ; {
						if _, err := w.Write(chunk); err != nil {
							return
						}
					}
				})
			})
			answer, err := h.client(h2).Get(h.url("/"))
			if err != nil {
				t.Fatal(err)
			}
			defer answer.Body.Close()
			select {
			case <-over:
			case <-time.After(patience):
				t.Error("the handler is held")
			}
		})
	}
}

func TestFlushedAnswerGoesOn(t *testing.T) {
	t.Parallel()
	for _, h2 := range []bool{false, true} {
		t.Run(fmt.Sprint("HTTP/2 ", h2), func(t *testing.T) {
			t.Parallel()
			h := start(t, false, func(o *Options) {
				o.Limits.AnswerTimeout = 6 * time.Second
				o.HTTP = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					for range 7 {
						io.WriteString(w, "x")
						if err := http.NewResponseController(w).Flush(); err != nil {
							t.Error(err)
						}
						time.Sleep(time.Second) // what the handler waits for
					}
				})
			})
			if text, _ := get(t, h.client(h2), h.url("/")); text != "xxxxxxx" {
				t.Errorf("got %q", text)
			}
		})
	}
}

// 10 MB of header are answered with 431 as soon as the limit is passed, and are not kept.
func TestHugeHeader(t *testing.T) {
	t.Parallel()
	for _, plain := range []bool{true, false} {
		t.Run(fmt.Sprint("plain ", plain), func(t *testing.T) {
			h := start(t, plain, func(o *Options) {
				o.HTTP = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if r.URL.Path != "/fine" {
						t.Error("it has reached the handler")
					}
					io.WriteString(w, "fine")
				})
			})
			for name, field := range map[string]string{
				"one field":   "X-A: " + strings.Repeat("a", 10<<20) + "\r\n",
				"many fields": strings.Repeat("X-A: a\r\n", 10<<20/8),
			} {
				conn := h.dialHTTP()
				var sending sync.WaitGroup
				sending.Go(func() { io.WriteString(conn, "GET / HTTP/1.1\r\nHost: localhost\r\n"+field+"\r\n") })
				if status, _ := readAnswer(t, conn); status != 431 {
					t.Errorf("%s: answered with %d", name, status)
				}
				conn.Close()
				sending.Wait()
			}
			h.stillServes()
		})
	}
}

func TestHeaderLimit(t *testing.T) {
	h := start(t, false, nil)
	field := strings.Repeat("a", 1<<10-len("x-a")-32)                                      // HTTP/2 counts 32 for each
	for kilobytes, want := range map[int]string{60: "200", 66: "431", 2 << 10: "closed"} { // by net/http, if frames follow
		conn := h.dialTLS(protocolH2)
		framer := beginH2(t, conn)
		fields := []string{":method", "GET", ":scheme", "https", ":authority", hostName, ":path", "/"}
		for i := range kilobytes { // each different, or they would be compressed
			fields = append(fields, "x-a", fmt.Sprintf("%08d", i)+field[8:])
		}
		var sending sync.WaitGroup
		sending.Go(func() { sendBlock(framer, encode(fields)) })
		if got := outcome(t, framer); got != want {
			t.Errorf("HTTP/2, %d KB: got %s, want %s", kilobytes, got, want)
		}
		conn.NetConn().Close()
		sending.Wait()
	}
	for kilobytes, want := range map[int]int{60: 200, 80: 431} {
		conn := h.dialTLS(protocolH1)
		io.WriteString(conn, "GET / HTTP/1.1\r\nHost: localhost\r\n"+strings.Repeat("x-a: "+field+"\r\n", kilobytes)+"\r\n")
		if status, _ := readAnswer(t, conn); status != want {
			t.Errorf("HTTP/1.1, %d KB: got %d, want %d", kilobytes, status, want)
		}
	}
	h.stillServes()
}

// sendBlock sends a header in as many frames as it takes, as far as the server takes it.
func sendBlock(framer *http2.Framer, block []byte) error {
	first := block[:min(len(block), maxFrame)]
	block = block[len(first):]
	err := framer.WriteHeaders(http2.HeadersFrameParam{
		StreamID: 1, BlockFragment: first, EndStream: true, EndHeaders: len(block) == 0,
	})
	for err == nil && len(block) > 0 {
		next := block[:min(len(block), maxFrame)]
		block = block[len(next):]
		err = framer.WriteContinuation(1, len(block) == 0, next)
	}
	return err
}

// A client that opens streams and resets them at once is closed, and has few handlers at work (CVE-2023-44487).
func TestFloodOfResets(t *testing.T) {
	release := make(chan struct{})
	var mu sync.Mutex
	running, most := 0, 0
	h := start(t, false, func(o *Options) {
		o.HTTP = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/fine" {
				io.WriteString(w, "fine")
				return
			}
			mu.Lock()
			running++
			most = max(most, running)
			mu.Unlock()
			<-release
			mu.Lock()
			running--
			mu.Unlock()
		})
	})
	t.Cleanup(func() { close(release) })
	conn := h.dialTLS(protocolH2)
	framer := beginH2(t, conn)
	var flood sync.WaitGroup
	flood.Go(func() {
		buffered := bufio.NewWriter(conn)
		framer := http2.NewFramer(buffered, nil)
		block := encode([]string{":method", "GET", ":scheme", "https", ":authority", hostName, ":path", "/"})
		for stream := uint32(1); stream < 20_000; stream += 2 {
			framer.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, BlockFragment: block, EndStream: true, EndHeaders: true})
			framer.WriteRSTStream(stream, http2.ErrCodeCancel)
			if buffered.Flush() != nil {
				return
			}
		}
	})
	for {
		frame, err := framer.ReadFrame()
		if err != nil {
			break
		}
		if away, ok := frame.(*http2.GoAwayFrame); ok && away.ErrCode == http2.ErrCodeEnhanceYourCalm {
			break
		}
	}
	conn.Close()
	flood.Wait()
	mu.Lock()
	if most > maxStreams {
		t.Errorf("%d handlers were at work at once", most)
	}
	mu.Unlock()
	h.stillServes()
}

// A client that sends pings and does not read their answers is closed: they are not kept without end.
func TestFloodOfPings(t *testing.T) {
	t.Parallel()
	h := start(t, false, func(o *Options) { o.Limits.AnswerTimeout = 3 * time.Second })
	small := *h.server
	small.Handler = smallBuffers{h.Handler}
	if err := h.sockets.Swap([]*listen.Server{&small}); err != nil {
		t.Fatal(err)
	}
	conn := h.dialTLS(protocolH2)
	conn.NetConn().(*net.TCPConn).SetReadBuffer(4 << 10)
	beginH2(t, conn)
	await(t, "the connection is there", func() bool { return h.connections() == 1 })
	var flood sync.WaitGroup
	flood.Go(func() {
		var frames bytes.Buffer
		framer := http2.NewFramer(&frames, nil)
		for range 1000 {
			framer.WritePing(false, [8]byte{})
		}
		for {
			if _, err := conn.Write(frames.Bytes()); err != nil {
				return
			}
		}
	})
	await(t, "the connection is closed", func() bool { return h.connections() == 0 })
	conn.NetConn().Close()
	flood.Wait()
	h.stillServes()
}

// smallBuffers lets a client that does not read be noticed soon.
type smallBuffers struct{ *Handler }

func (b smallBuffers) Serve(ctx context.Context, c *listen.Client) {
	c.Conn.SetWriteBuffer(4 << 10)
	b.Handler.Serve(ctx, c)
}

func TestResetsDisturbNobody(t *testing.T) {
	const many = 40
	h := start(t, false, func(o *Options) { o.Limits.HandshakesPerSource = many + 1 }) // those that are over may not be known to be, yet
	var clients sync.WaitGroup
	for i := range many {
		clients.Go(func() {
			conn, err := net.Dial("tcp", h.address)
			if err != nil {
				return // too many of us
			}
			defer conn.Close()
			conn.(*net.TCPConn).SetLinger(0)
			switch i % 4 {
			case 1:
				conn.Write([]byte("\x16\x03\x01"))
			case 2, 3:
				offered := []string{protocolH1, protocolH2}[i%2:]
				secured := tls.Client(conn, &tls.Config{RootCAs: h.roots, ServerName: hostName, NextProtos: offered})
				conn.SetDeadline(time.Now().Add(patience))
				if secured.Handshake() == nil {
					io.WriteString(secured, "GET / HT")
				}
			}
		})
	}
	clients.Wait()
	h.stillServes()
}

func FuzzLooksLikeHTTP(f *testing.F) {
	for _, seed := range append(requestStarts, "\x16\x03\x01\x02\x00", "\x15\x03\x01\x00\x02", "GET\x00/") {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, first []byte) {
		var five [5]byte
		copy(five[:], first)
		if looksLikeHTTP(five) && (five[0] < 'A' || five[0] > 'Z' || bytes.ContainsFunc(five[:], isControl)) {
			t.Errorf("%q is taken for HTTP", five)
		}
	})
}

// curl, which is no client of Go's.
func TestCurl(t *testing.T) {
	curl, err := exec.LookPath("curl")
	if err != nil {
		live.Missing(t, "curl", "apt-get install curl")
	}
	h := start(t, false, nil)
	roots := filepath.Join(t.TempDir(), "roots.pem")
	if err := os.WriteFile(roots, h.pem(), 0o600); err != nil {
		t.Fatal(err)
	}
	huge := filepath.Join(t.TempDir(), "huge") // curl sends no more than 1 MB, and with HTTP/2 no more than 64 KB
	if err := os.WriteFile(huge, bytes.Repeat([]byte("X-A: "+strings.Repeat("a", 1000)+"\n"), 900), 0o600); err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(h.address)
	for _, test := range []struct {
		name string
		args []string
		want string
	}{
		{"HTTP/1.1", []string{"--http1.1", h.url("/")}, "200"},
		{"HTTP/2", []string{"--http2", h.url("/")}, "200"},
		{"name", []string{"--resolve", hostName + ":" + port + ":127.0.0.1", "https://" + hostName + ":" + port + "/"}, "200"},
		{"body", []string{"-d", "@" + huge, h.url("/")}, "200"},
		{"body with HTTP/1.1 and Expect", []string{"--http1.1", "-H", "Expect: 100-continue", "-d", "@" + huge, h.url("/")}, "200"},
		{"foreign body", []string{"--http1.1", "-H", "Host: evil.example", "-d", "@" + huge, h.url("/")}, "421"},
		{"chunks", []string{"--http1.1", "-H", "Transfer-Encoding: chunked", "-d", "x", h.url("/")}, "200"},
		{"no TLS", []string{"http://" + h.address + "/"}, "400"},
		{"foreign name", []string{"-H", "Host: evil.example", h.url("/")}, "421"},
		{"huge header", []string{"--http1.1", "-H", "@" + huge, h.url("/")}, "431"},
	} {
		t.Run(test.name, func(t *testing.T) {
			args := append([]string{"-sS", "--max-time", "30", "-o", os.DevNull, "-w", "%{http_code}", "--cacert", roots}, test.args...)
			cmd := exec.CommandContext(t.Context(), curl, args...)
			cmd.Env = []string{"LC_ALL=C"}
			var problems bytes.Buffer
			cmd.Stderr = &problems
			out, err := cmd.Output()
			if string(out) != test.want {
				t.Errorf("got %q, %v %s; want %s", out, err, problems.String(), test.want)
			}
		})
	}
}
