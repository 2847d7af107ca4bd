package client_test

import (
	"bufio"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"

	"go.uber.org/goleak"

	"jackfield"
	"jackfield/internal/api"
	"jackfield/internal/client"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A fake is a server that answers the API's calls as it is told to, and CONNECT by its tunnels. The connection of a CONNECT is
// taken over at once, as the real one does it.
type fake struct {
	*httptest.Server
	authority atomic.Pointer[api.Authority]
	services  []api.Service
	tunnels   map[string]func(net.Conn) // by the target of CONNECT; each answers by itself
	connects  atomic.Int64
	head      atomic.Pointer[http.Request] // of the last CONNECT
}

func newFake(t *testing.T) *fake {
	t.Helper()
	f := &fake{tunnels: map[string]func(net.Conn){}}
	f.Server = httptest.NewUnstartedServer(http.HandlerFunc(f.serve))
	f.Config.ErrorLog = log.New(io.Discard, "", 0) // a client that does not trust it is part of some tests
	f.StartTLS()
	t.Cleanup(f.Close)
	f.authority.Store(&api.Authority{Bundle: f.bundle()})
	return f
}

// bundle is the server's own certificate, which vouches for itself.
func (f *fake) bundle() string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: f.Certificate().Raw}))
}

func (f *fake) serve(w http.ResponseWriter, r *http.Request) {
	switch {
	case r.Method == http.MethodConnect:
		f.connect(w, r)
	case r.URL.Path == api.Base+"/certificates/authority":
		json.NewEncoder(w).Encode(f.authority.Load())
	case r.URL.Path == api.Base+"/services":
		json.NewEncoder(w).Encode(api.ServiceList{Services: f.services})
	default:
		http.NotFound(w, r)
	}
}

func (f *fake) connect(w http.ResponseWriter, r *http.Request) {
	f.connects.Add(1)
	f.head.Store(r.Clone(r.Context()))
	tunnel := f.tunnels[r.RequestURI]
	if tunnel == nil {
		w.Header().Set("Content-Type", "application/problem+json")
		w.WriteHeader(http.StatusNotFound)
		json.NewEncoder(w).Encode(api.Problem{Status: 404, Kind: jackfield.NotFound, Detail: "service not available", ID: "k3vq-1-2"})
		return
	}
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(err)
	}
	defer conn.Close()
	tunnel(conn)
}

// answer makes a tunnel that says so much and closes its connection in order.
func answer(text string) func(net.Conn) {
	return func(conn net.Conn) { io.WriteString(conn, text) }
}

// counted tells, after the client's end, how much it has sent.
func counted(conn net.Conn) {
	io.WriteString(conn, "HTTP/1.1 200 OK\r\n\r\n")
	n, err := io.Copy(io.Discard, bufio.NewReader(conn))
	fmt.Fprintf(conn, "%d bytes, %v", n, err)
}

// torn breaks its connection off without close_notify.
func torn(conn net.Conn) {
	io.WriteString(conn, "HTTP/1.1 200 OK\r\n\r\nbegun")
	conn.(interface{ NetConn() net.Conn }).NetConn().Close()
}

// login is one at the server, whose certificate is pinned.
func (f *fake) login() client.Login {
	return client.Login{Context: "test", URL: f.URL, Token: "jft_secret", Authorities: f.bundle()}
}

func (f *fake) dialled(t *testing.T) *client.Server {
	t.Helper()
	server, err := client.NewServer(f.login(), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Close)
	return server
}
