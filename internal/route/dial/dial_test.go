package dial

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"jackfield"
	"jackfield/internal/proxyproto"
)

func TestMain(m *testing.M) {
	// The first use of Go's resolver makes what all later uses share; it must not belong to the bubble of one test.
	(&net.Resolver{PreferGo: true}).LookupHost(context.Background(), "localhost")
	goleak.VerifyTestMain(m)
}

var request = &jackfield.Request{
	Source: netip.MustParseAddrPort("192.0.2.7:4711"),
	Local:  netip.MustParseAddrPort("[2001:db8::1]:1078"),
}

func TestNew(t *testing.T) {
	for _, test := range []struct {
		name      string
		addresses []string
		want      string // of String, or within the error
	}{
		{"IPv4", []string{"127.0.0.1:80"}, "dial 127.0.0.1:80"},
		{"several", []string{"a:1", "b:1"}, "dial a:1, b:1"},
		{"IPv6", []string{"[::1]:80"}, "dial [::1]:80"},
		{"zone", []string{"[fe80::1%eth0]:80"}, "dial [fe80::1%eth0]:80"},
		{"named port", []string{"localhost:http"}, "dial localhost:http"},
		{"Unix", []string{"unix:" + absolute}, "dial unix:" + absolute},

		{"none", nil, "no address"},
		{"no port", []string{"localhost"}, "host:port"},
		{"empty port", []string{"localhost:"}, "missing or 0"},
		{"port 0", []string{"localhost:0"}, "missing or 0"},
		{"port too large", []string{"localhost:65536"}, "neither a port"},
		{"unknown port", []string{"localhost:no-such-service"}, "neither a port"},
		{"empty host", []string{":80"}, "host is missing"},
		{"empty IPv6", []string{"[]:80"}, "host is missing"},
		{"IPv6 without brackets", []string{"::1:80"}, "[v6]:port"},
		{"IPv6 that is none", []string{"[1:2]:80"}, "no IPv6 address"},
		{"URL", []string{"http://localhost:80"}, "host:port"},
		{"path and port", []string{"localhost/x:80"}, "neither a host name"},
		{"Unix without a path", []string{"unix:"}, "absolute path"},
		{"Unix relative", []string{"unix:socket"}, "absolute path"},
	} {
		t.Run(test.name, func(t *testing.T) {
			r, err := New(Options{Addresses: test.addresses})
			switch {
			case err != nil && !strings.Contains(err.Error(), test.want):
				t.Errorf("New: %v, want %q", err, test.want)
			case err == nil && r.String() != test.want:
				t.Errorf("String = %q, want %q", r, test.want)
			}
		})
	}
}

var absolute, _ = filepath.Abs("socket")

func TestNewNamesEveryMistake(t *testing.T) {
	_, err := New(Options{Addresses: []string{"a", "localhost:80", "b:0"}})
	if err == nil || !strings.Contains(err.Error(), `"a"`) || !strings.Contains(err.Error(), `"b:0"`) {
		t.Errorf("New: %v, want both mistakes", err)
	}
	if _, err := New(Options{Addresses: []string{"a:1"}, Timeout: -1}); err == nil {
		t.Error("New took a negative timeout")
	}
	if _, err := New(Options{Addresses: []string{"a:1"}, SendProxy: 3}); err == nil {
		t.Error("New took PROXY protocol version 3")
	}
}

func TestOpenReturnsBareSocket(t *testing.T) {
	for _, network := range []string{"tcp", "unix"} {
		t.Run(network, func(t *testing.T) {
			service := listen(t, network)
			stream, err := route(t, Options{Addresses: []string{service.address}}).Open(t.Context(), request)
			if err != nil {
				t.Fatal(err)
			}
			defer stream.Close()
			switch stream.(type) {
			case *net.TCPConn, *net.UnixConn:
			default:
				t.Errorf("Open returned a %T", stream)
			}
			exchange(t, stream, service.accept(t))
		})
	}
}

func TestOpenSendsProxyHeader(t *testing.T) {
	want := proxyproto.Addresses{Source: request.Source, Local: request.Local}
	for _, network := range []string{"tcp", "unix"} {
		for _, version := range []proxyproto.Version{proxyproto.V1, proxyproto.V2} {
			service := listen(t, network)
			r := route(t, Options{Addresses: []string{service.address}, SendProxy: version})
			stream, err := r.Open(t.Context(), request)
			if err != nil {
				t.Fatal(err)
			}
			defer stream.Close()
			conn := service.accept(t)
			if got, err := proxyproto.Accept(conn, time.Minute); err != nil || got != want {
				t.Errorf("%s, version %d: the service read %v, %v; want %v", network, version, got, err, want)
			}
			exchange(t, stream, conn)
		}
	}
}

func TestOpenLeavesNoDeadline(t *testing.T) {
	t.Parallel()
	service := listen(t, "tcp")
	const timeout = 5 * time.Second // the time to connect
	r := route(t, Options{Addresses: []string{service.address}, SendProxy: proxyproto.V1, Timeout: timeout})
	stream, err := r.Open(t.Context(), request)
	if err != nil {
		t.Fatal(err)
	}
	defer stream.Close()
	<-time.After(timeout + 10*time.Millisecond)
	if _, err := stream.Write([]byte("x")); err != nil {
		t.Error(err)
	}
}

func TestOpenFailsOver(t *testing.T) {
	service := listen(t, "tcp")
	r := route(t, Options{Addresses: []string{closedPort(t), "unix:" + absolute, service.address}})
	stream, err := r.Open(t.Context(), request)
	if err != nil {
		t.Fatal(err)
	}
	defer stream.Close()
	exchange(t, stream, service.accept(t))
}

func TestRefusals(t *testing.T) {
	closed, other := closedPort(t), closedPort(t)
	for _, test := range []struct {
		name      string
		addresses []string
		want      string
	}{
		{"refused", []string{closed}, sayRefused},
		{"refused twice", []string{closed, other}, sayRefused},
		{"no such socket", []string{"unix:" + absolute}, sayNotReached},
		{"different reasons", []string{closed, "unix:" + absolute}, sayNotReached},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := route(t, Options{Addresses: test.addresses}).Open(t.Context(), request)
			refusal := checkRefusal(t, err, test.want)
			for _, a := range test.addresses {
				if !strings.Contains(refusal.Details.Error(), strings.TrimPrefix(a, "unix:")) {
					t.Errorf("the details do not tell of %s: %v", a, refusal.Details)
				}
			}
		})
	}
}

// checkRefusal wants exactly this sentence: no internal address is in it.
func checkRefusal(t *testing.T, err error, message string) *jackfield.Error {
	t.Helper()
	refusal, ok := errors.AsType[*jackfield.Error](err)
	if !ok || refusal.Kind != jackfield.Unavailable || refusal.Message != message || refusal.Details == nil {
		t.Fatalf("Open: %#v, want %q with details", err, message)
	}
	return refusal
}

func route(t *testing.T, o Options) *Route {
	t.Helper()
	r, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// A service is a listening socket of the test.
type service struct {
	net.Listener
	address string // as the configuration has it
}

func listen(t *testing.T, network string) service {
	t.Helper()
	where := map[string]string{"tcp": "127.0.0.1:0", "unix": filepath.Join(t.TempDir(), "s")}[network]
	l, err := net.Listen(network, where)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	if network == "unix" {
		return service{l, "unix:" + where}
	}
	return service{l, l.Addr().String()}
}

func (s service) accept(t *testing.T) net.Conn {
	t.Helper()
	conn, err := s.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

// closedPort returns an address at which nobody listens, nor will during the test: a connection begins there.
func closedPort(t *testing.T) string {
	t.Helper()
	conn, err := net.Dial("tcp", listen(t, "tcp").address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn.LocalAddr().String()
}

// exchange checks that bytes and both ends of the stream get through, and that nothing came before.
func exchange(t *testing.T, stream jackfield.Stream, conn net.Conn) {
	t.Helper()
	io.WriteString(stream, "question")
	stream.CloseWrite()
	if got, err := io.ReadAll(conn); string(got) != "question" || err != nil {
		t.Errorf("the service read %q, %v", got, err)
	}
	io.WriteString(conn, "answer")
	conn.Close()
	if got, err := io.ReadAll(stream); string(got) != "answer" || err != nil {
		t.Errorf("the client read %q, %v", got, err)
	}
}

func TestOpenAfterCancellation(t *testing.T) {
	reason := errors.New("disconnected by admin")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(reason)
	_, err := route(t, Options{Addresses: []string{listen(t, "tcp").address}}).Open(ctx, request)
	if checkRefusal(t, err, sayCancelled); !errors.Is(err, reason) {
		t.Errorf("Open: %v, want the cause in it", err)
	}
}
