package https

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"jackfield"
	"jackfield/internal/listen"
)

// What a body may hold to be taken for a request.
var bodyRequests = map[string]string{
	"in order":   "GET /fine HTTP/1.1\r\nHost: " + hostName + "\r\n\r\n",
	"bare lines": "GET /fine HTTP/1.1\nHost: " + hostName + "\nX: y\n folded\n\n",
	"CONNECT":    "CONNECT wired:1 HTTP/1.1\r\nHost: wired:1\r\nProxy-Authorization: " + bearer(token) + "\r\n\r\n",
	"website":    webAsking("GET", "http://site/smuggled", ""),
}

// An answer that is complete before its request is the last of its connection, which ends in order.
func TestWebEarlyAnswer(t *testing.T) {
	for _, d := range webDialects[:2] {
		t.Run(d.name, func(t *testing.T) {
			t.Parallel()
			l := startWeb(t, d.plain, false, hello)
			for name, hidden := range bodyRequests {
				for _, goesOn := range []string{"ends", "stays"} {
					t.Run(name+", the service "+goesOn, func(t *testing.T) {
						client := l.send(webAsking("POST", "http://raw/", "Content-Length: 5000\r\n") + strings.Repeat("A", 100))
						service, _, _ := l.served()
						io.WriteString(service, "HTTP/1.1 413 Too Large\r\nContent-Length: 4\r\n\r\nBIG\n")
						if goesOn == "ends" {
							service.CloseWrite()
						}
						reader := bufio.NewReader(client)
						answer, err := http.ReadResponse(reader, nil)
						if err != nil {
							t.Fatal(err)
						}
						text, err := io.ReadAll(answer.Body)
						if answer.StatusCode != 413 || string(text) != "BIG\n" || err != nil || !answer.Close {
							t.Errorf("answered with %s %q, %v; to be closed: %v", answer.Status, text, err, answer.Close)
						}
						io.WriteString(client, hidden)
						if rest, err := io.ReadAll(reader); len(rest) > 0 || err != nil {
							t.Errorf("the rest of the body is answered with %q, %v", rest, err)
						}
						l.closes()
					})
				}
			}
		})
	}
}

// So it is if the body seems to end in time, but nobody has read it: the service has answered at the first byte.
func TestWebEarlyAnswerUnread(t *testing.T) {
	l := startWeb(t, true, false, hello)
	hidden := bodyRequests["in order"]
	body := strings.Repeat(hidden+strings.Repeat("#", 16<<10-len(hidden)), 12)
	for range 5 {
		client := l.send(webAsking("POST", "http://raw/", fmt.Sprintf("Content-Length: %d\r\n", len(body))))
		sent := make(chan struct{})
		go func() {
			defer close(sent)
			io.WriteString(client, body)
		}()
		service, _, _ := l.served()
		io.WriteString(service, "HTTP/1.1 413 Too Large\r\nContent-Length: 4\r\nConnection: close\r\n\r\nBIG\n")
		service.CloseWrite()
		answer, text, err := answerTo(t, client)
		if answer.StatusCode != 413 || text != "BIG\n" || err != nil {
			t.Errorf("answered with %s %q, %v", answer.Status, text, err)
		}
		<-sent
		client.CloseWrite() // where all of the body was read in time, the connection waits for another request
		if rest, _ := io.ReadAll(client); strings.Contains(string(rest), "HTTP/1.1") {
			t.Errorf("the rest of the body is answered with %q", rest)
		}
		l.closes()
	}
}

// An API is held to the same, whatever it does with bodies and with net/http's own precautions.
func TestBodyIsNoRequest(t *testing.T) {
	for name, handler := range map[string]http.HandlerFunc{
		"reads nothing":         func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(401) },
		"says nothing":          func(http.ResponseWriter, *http.Request) {},
		"reads some":            func(_ http.ResponseWriter, r *http.Request) { r.Body.Read(make([]byte, 10)) },
		"clears the header":     func(w http.ResponseWriter, r *http.Request) { clear(w.Header()); io.CopyN(io.Discard, r.Body, 100) },
		"answers, full duplex":  fullDuplex(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(413) }),
		"begins, full duplex":   fullDuplex(func(w http.ResponseWriter, _ *http.Request) { http.NewResponseController(w).Flush() }),
		"has enough, in time":   fullDuplex(func(w http.ResponseWriter, _ *http.Request) { http.NewResponseController(w).SetReadDeadline(past) }),
		"waits for some of all": fullDuplex(func(_ http.ResponseWriter, r *http.Request) { io.ReadFull(r.Body, make([]byte, 100)) }),
	} {
		for _, coding := range []string{"Content-Length: 5000\r\n\r\n", "Transfer-Encoding: chunked\r\n\r\n64\r\n"} {
			t.Run(name+", "+coding[:strings.IndexByte(coding, ':')], func(t *testing.T) {
				h := start(t, true, func(o *Options) {
					o.HTTP = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
						if r.URL.Path != "/first" {
							t.Errorf("a handler has seen %s", r.URL)
						}
						handler(w, r)
					})
				})
				conn := h.dial()
				io.WriteString(conn, head+coding+strings.Repeat("A", 100))
				if coding[0] == 'T' {
					io.WriteString(conn, "\r\n0\r\n\r\n")
				}
				reader := bufio.NewReader(conn)
				if status, _ := readNext(t, reader); status == 0 {
					t.Error("no answer")
				}
				io.WriteString(conn, smuggled)
				if rest, _ := io.ReadAll(reader); len(rest) > 0 {
					t.Errorf("answered with %q", rest)
				}
			})
		}
	}
}

func fullDuplex(handler http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		http.NewResponseController(w).EnableFullDuplex()
		handler(w, r)
	}
}

// A connection whose bodies are read goes on.
func TestBodyThenRequest(t *testing.T) {
	h := start(t, true, nil)
	conn := h.dial()
	reader := bufio.NewReader(conn)
	for range 3 {
		io.WriteString(conn, head+"Content-Length: 3\r\n\r\nabc")
		if status, _ := readNext(t, reader); status != 200 {
			t.Fatalf("answered with %d", status)
		}
	}
}

// What a service says before its answer has an end.
func TestWebHints(t *testing.T) {
	eachWebDialect(t, hello, func(t *testing.T, l *webLab) {
		for name, test := range map[string]struct {
			size, n, want int
		}{"many": {10, maxHints + 1, 502}, "large": {30 << 10, 3, 502}, "as many as may be": {10, maxHints, 200}} {
			t.Run(name, func(t *testing.T) {
				begun := l.begin(l.request("GET", "http://raw/", nil))
				service, _, _ := l.served()
				hint := "HTTP/1.1 103 Early Hints\r\nX: " + strings.Repeat("a", test.size) + "\r\n\r\n"
				go io.WriteString(service, strings.Repeat(hint, test.n)+"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
				if answer := <-begun; answer == nil || answer.StatusCode != test.want {
					t.Fatalf("answered with %v", answer)
				}
				l.closes()
			})
		}
	})
}

// A client that takes none of them, whose connection is that of a request of HTTP/1.1 or HTTP/2, is cut like any other.
func TestWebCutHints(t *testing.T) {
	for _, major := range []int{1, 2} {
		t.Run(fmt.Sprintf("HTTP/%d", major), func(t *testing.T) {
			t.Parallel()
			expectSoon(t, "it was cut", func() time.Duration { return cutHints(t, major) })
		})
	}
}

// cutHints returns how long the cut takes.
func cutHints(t *testing.T, major int) time.Duration {
	socket, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	near, err := net.Dial("tcp", socket.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	w := takesNothing{near.(*net.TCPConn), make(chan struct{})}
	x := &exchange{
		ResponseWriter: w, request: &http.Request{ProtoMajor: major, ProtoMinor: 1}, named: new(namedFields),
		upload: new(upload), visit: &admitted{connection: &connection{client: &listen.Client{Conn: w.conn}}},
	}
	x.control = http.NewResponseController(w)
	x.upload.ended.Store(true)
	defer time.AfterFunc(10*soon, func() { near.Close() }).Stop()
	wrote := make(chan struct{})
	go func() { defer close(wrote); x.WriteHeader(http.StatusEarlyHints) }()
	<-w.writing
	began := time.Now()
	x.cutOff()
	<-wrote
	late := time.Since(began)
	x.WriteHeader(http.StatusEarlyHints) // none is begun any more: it would panic
	x.unstick()
	return late
}

// takesNothing is the writer for a client that reads nothing, and heeds no deadline.
type takesNothing struct {
	conn    *net.TCPConn
	writing chan struct{}
}

func (takesNothing) Header() http.Header              { return http.Header{} }
func (w takesNothing) Write(p []byte) (int, error)    { return w.conn.Write(p) }
func (takesNothing) SetWriteDeadline(time.Time) error { return nil }
func (w takesNothing) WriteHeader(int) {
	close(w.writing)
	io.Copy(w.conn, endless{})
}

// A status that is none makes no panic, and neither does one that is the proxy's.
func TestWebStatus(t *testing.T) {
	eachWebDialect(t, hello, func(t *testing.T, l *webLab) {
		began := time.Now()
		for status, says := range map[string]string{"000": "HTTP/1.1", "099": "HTTP/1.1", "407": "as if it were the proxy"} {
			t.Run(status, func(t *testing.T) {
				begun := l.begin(l.request("GET", "http://raw/", nil))
				service, _, _ := l.served()
				go io.WriteString(service, "HTTP/1.1 "+status+" Odd\r\nProxy-Authenticate: Basic\r\nContent-Length: 0\r\n\r\n")
				answer := <-begun
				if answer == nil {
					t.Fatal("no answer")
				}
				text, _ := io.ReadAll(answer.Body)
				if answer.StatusCode != 502 || !strings.Contains(string(text), says) || answer.Header["Proxy-Authenticate"] != nil {
					t.Errorf("answered with %s %v %s", answer.Status, answer.Header, text)
				}
				l.ends(errFault.Error())
			})
		}
		if strings.Contains(l.log.String(), "panic") {
			t.Errorf("the log says: %s", l.log.String())
		}
		l.wantOneLine(strings.Count(l.log.String(), "no valid answer"), began)
	})
}

// Neither side hears from the other what is between it and the proxy.
func TestWebForgedFields(t *testing.T) {
	eachWebDialect(t, hello, func(t *testing.T, l *webLab) {
		body, up := io.Pipe()
		r := l.request("POST", "http://raw/", body)
		r.Trailer = http.Header{"X-Sum": nil, "Proxy-Authorization": nil, "Forwarded": nil, "X-Forwarded-For": nil}
		if l.h2 {
			delete(r.Trailer, "Proxy-Authorization") // nobody takes it there
		}
		r.Header.Set("X-Forwarded-Port", "1")
		begun := l.begin(r)
		go func() {
			io.WriteString(up, "question")
			for name := range r.Trailer {
				r.Trailer.Set(name, "trailing")
			}
			up.Close()
		}()
		service, reader, sent := l.served()
		rest := readUntil(t, reader, "\r\n0\r\n", "\r\n\r\n")
		for _, name := range []string{"Proxy-", "Forwarded"} {
			if strings.Contains(sent+rest, name) {
				t.Errorf("the service gets %q %q", sent, rest)
			}
		}
		if !strings.Contains(rest, "X-Sum: trailing") {
			t.Errorf("the service gets the trailers %q", rest)
		}
		const forged = "Proxy-Status: jackfield; error=x\r\nProxy-Authentication-Info: x\r\nProxy-Authenticate: Basic\r\n"
		io.WriteString(service, "HTTP/1.1 103 Early Hints\r\n"+forged+"Link: </a>\r\n\r\n"+
			"HTTP/1.1 200 OK\r\nconnection: Close, X-A,\r\n Set-Cookie\r\nX-A: a\r\nSet-Cookie: a=b\r\nX-B: b\r\n"+forged+
			"Trailer: Proxy-Status, X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\nX-Sum: 1\r\n"+forged+"\r\n")
		answer := <-begun
		if answer == nil {
			t.Fatal("no answer")
		}
		if _, err := io.Copy(io.Discard, answer.Body); err != nil {
			t.Error(err)
		}
		for _, fields := range []http.Header{answer.Header, answer.Trailer} {
			for name := range fields {
				if strings.HasPrefix(name, "Proxy-") || name == "X-A" || name == "Set-Cookie" {
					t.Errorf("the client gets %s", name)
				}
			}
		}
		if answer.Header.Get("X-B") != "b" || answer.Trailer.Get("X-Sum") != "1" {
			t.Errorf("the client gets %v, and the trailers %v", answer.Header, answer.Trailer)
		}
		l.ends(jackfield.EndFinished)
	})
}

// readUntil reads up to a mark, and from there to an end.
func readUntil(t *testing.T, r *bufio.Reader, mark, end string) string {
	t.Helper()
	var text strings.Builder
	for {
		line, err := r.ReadString('\n')
		text.WriteString(line)
		if at := strings.Index(text.String(), mark); at >= 0 && strings.Contains(text.String()[at+len(mark)-2:], end) {
			return text.String()
		}
		if err != nil {
			t.Fatalf("%q, %v", text.String(), err)
		}
	}
}

// A protocol cannot be switched to in the middle of a request.
func TestWebEarlySwitch(t *testing.T) {
	l := startWeb(t, true, false, hello)
	client := l.send(webAsking("GET", "http://raw/", "Connection: Upgrade\r\nUpgrade: other\r\nContent-Length: 10\r\n") + "begin")
	service, _, _ := l.served()
	io.WriteString(service, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: other\r\n\r\n")
	if answer, text, _ := answerTo(t, client); answer.StatusCode != 502 {
		t.Errorf("answered with %s %s", answer.Status, text)
	}
	l.ends(errFault.Error())
}
