package https

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"jackfield"
	"jackfield/internal/gateway"
)

// A webLab is a lab whose listener is a proxy for websites: "site", which is net/http's, and "raw", which the test plays itself.
type webLab struct {
	*lab
	h2     bool
	client *http.Client // whose proxy the listener is
}

var webDialects = []struct {
	name      string
	plain, h2 bool
}{{"HTTP/1.1", true, false}, {"HTTP/1.1 with TLS", false, false}, {"HTTP/2", false, true}}

func eachWebDialect(t *testing.T, site http.HandlerFunc, test func(t *testing.T, l *webLab)) {
	for _, d := range webDialects {
		t.Run(d.name, func(t *testing.T) {
			t.Parallel()
			test(t, startWeb(t, d.plain, d.h2, site))
		})
	}
}

func startWeb(t *testing.T, plain, h2 bool, site http.HandlerFunc) *webLab {
	t.Helper()
	server := httptest.NewUnstartedServer(site)
	server.Config.DisableGeneralOptionsHandler = true
	server.Start()
	l := &webLab{h2: h2}
	l.lab = startLab(t, plain, func(l *lab, o *Options) {
		routes := l.listener.Services
		routes["site"] = &gateway.Service{Name: "site", Route: dialling{server.Listener.Addr().String()}}
		routes["raw"] = &gateway.Service{Name: "raw", Route: wired{l.serve}}
		websites := map[jackfield.Name]bool{}
		for name := range routes {
			websites[name] = name != "wired"
		}
		o.HTTP = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != "/fine" {
				t.Errorf("our own handler has seen %s %s", r.Host, r.URL)
			}
			hello(w, r)
		})
		o.Web = &WebProxy{Connector: o.Connect.(*Connector), Services: websites}
	})
	t.Cleanup(server.Close) // before the lab ends: it waits for its sessions
	l.client = l.newClient()
	return l
}

type dialling struct{ address string }

func (d dialling) Open(ctx context.Context, _ *jackfield.Request) (jackfield.Stream, error) {
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "tcp", d.address)
	if err != nil {
		return nil, err
	}
	return conn.(jackfield.Stream), nil
}

func (dialling) String() string { return "dialling" }

// newClient makes a client that has the listener as its proxy.
func (l *webLab) newClient() *http.Client {
	if l.h2 {
		client := l.lab.client(true)
		client.Timeout = 0
		client.Transport = asProxyH2{client.Transport, l.address}
		return client
	}
	proxy, _ := url.Parse(l.url(""))
	transport := &http.Transport{Proxy: http.ProxyURL(proxy), TLSClientConfig: &tls.Config{RootCAs: l.roots}, DisableCompression: true}
	l.t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

// asProxyH2 sends requests to a proxy by HTTP/2, as browsers do and Go's client does not.
type asProxyH2 struct {
	http.RoundTripper
	address string
}

func (a asProxyH2) RoundTrip(r *http.Request) (*http.Response, error) {
	target := *r.URL
	target.Scheme, target.Host = "https", a.address
	r = r.WithContext(r.Context())
	r.Host, r.URL = r.URL.Host, &target
	return a.RoundTripper.RoundTrip(r)
}

// request makes one with good credentials.
func (l *webLab) request(method, target string, body io.Reader) *http.Request {
	l.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	l.t.Cleanup(cancel)
	r, err := http.NewRequestWithContext(ctx, method, target, body)
	if err != nil {
		l.t.Fatal(err)
	}
	r.Header.Set("Proxy-Authorization", bearer(token))
	return r
}

// do sends a request and returns the head of the answer.
func (l *webLab) do(r *http.Request) *http.Response {
	l.t.Helper()
	answer, err := l.client.Do(r)
	if err != nil {
		l.t.Fatal(err)
	}
	l.t.Cleanup(func() { answer.Body.Close() })
	return answer
}

// begin sends a request whose answer is not there yet.
func (l *webLab) begin(r *http.Request) <-chan *http.Response {
	begun := make(chan *http.Response, 1)
	go func() {
		defer close(begun)
		if answer, err := l.client.Do(r); err == nil {
			l.t.Cleanup(func() { answer.Body.Close() })
			begun <- answer
		}
	}()
	return begun
}

// served reads the request that the service "raw" has got, up to its body.
func (l *webLab) served() (jackfield.Stream, *bufio.Reader, string) {
	l.t.Helper()
	service := l.service()
	reader := bufio.NewReader(service)
	var head strings.Builder
	for {
		line, err := reader.ReadString('\n')
		if err != nil {
			l.t.Fatalf("the request is %q, %v", head.String(), err)
		}
		head.WriteString(line)
		if line == "\r\n" {
			return service, reader, head.String()
		}
	}
}

// send writes a request on a connection of its own.
func (l *webLab) send(text string) jackfield.Stream {
	l.t.Helper()
	stream := l.dialStream()
	if _, err := io.WriteString(stream, text); err != nil {
		l.t.Fatal(err)
	}
	return stream
}

func webAsking(method, target, more string) string {
	return fmt.Sprintf("%s %s HTTP/1.1\r\nHost: ignored.example\r\nProxy-Authorization: %s\r\n%s\r\n",
		method, target, bearer(token), more)
}

// answerTo reads an answer to a GET.
func answerTo(t *testing.T, from io.Reader) (*http.Response, string, error) {
	t.Helper()
	answer, err := http.ReadResponse(bufio.NewReader(from), nil)
	if err != nil {
		t.Fatal(err)
	}
	var text bytes.Buffer
	_, err = text.ReadFrom(answer.Body)
	return answer, text.String(), err
}

const soon = time.Second // for what has to be cut

// expectSoon wants try, which does the whole thing and says how long it took, to be done soon. A machine that is busy with other
// things gets more than one chance.
func expectSoon(t *testing.T, what string, try func() time.Duration) {
	t.Helper()
	late := try()
	for range 4 {
		if late <= soon {
			return
		}
		t.Logf("%s after %v", what, late)
		late = min(late, try())
	}
	if late > soon {
		t.Errorf("every time %s, after %v at best", what, late)
	}
}
