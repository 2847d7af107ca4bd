package admin

import (
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
)

func TestPort(t *testing.T) {
	var ready atomic.Bool
	metrics := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "jackfield_sessions 0\n") })
	server, err := ListenPort("127.0.0.1:0", metrics, ready.Load, quiet)
	serve(t, server, err)
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}

	for _, test := range []struct {
		name, request string
		ready         bool
		status        int
		body          string
	}{
		{"metrics", "GET /metrics", true, 200, "jackfield_sessions 0\n"},
		{"alive", "GET /healthz", false, 200, "ok\n"},
		{"not ready", "GET /readyz", false, 503, "not ready\n"},
		{"ready", "GET /readyz", true, 200, "ready\n"},
		{"no pprof", "GET /debug/pprof/", true, 404, "404 page not found\n"},
		{"no administration", "GET /v1/sessions", true, 404, "404 page not found\n"},
		{"nothing to change", "POST /healthz", true, 405, "Method Not Allowed\n"},
	} {
		t.Run(test.name, func(t *testing.T) {
			ready.Store(test.ready)
			method, target, _ := strings.Cut(test.request, " ")
			request, err := http.NewRequestWithContext(t.Context(), method, "http://"+server.Addr().String()+target, nil)
			if err != nil {
				t.Fatal(err)
			}
			answer, err := client.Do(request)
			if err != nil {
				t.Fatal(err)
			}
			defer answer.Body.Close()
			body, err := io.ReadAll(answer.Body)
			if err != nil || answer.StatusCode != test.status || string(body) != test.body {
				t.Errorf("%d %q, %v", answer.StatusCode, body, err)
			}
		})
	}
}

func TestPortListensOnLoopbackOnly(t *testing.T) {
	for address, allowed := range map[string]bool{
		"127.0.0.1:0": true, "127.9.9.9:0": true, "[::1]:9090": true, "localhost:0": true, "[::ffff:127.0.0.1]:0": true,
		":9090": false, "0.0.0.0:9090": false, "[::]:9090": false, "192.0.2.1:9090": false, "[2001:db8::1]:9090": false,
		"127.0.0.1": false, "": false,
	} {
		resolved, err := ResolveLoopback(address)
		if (err == nil) != allowed {
			t.Errorf("%q: %v, %v", address, resolved, err)
		}
		if !allowed {
			server, err := ListenPort(address, http.NotFoundHandler(), func() bool { return true }, quiet)
			if err == nil {
				t.Errorf("%q: listens on %v", address, server.Addr())
				server.Shutdown(t.Context())
			}
		}
	}
}

func TestPortInUse(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	if _, err := ListenPort(listener.Addr().String(), http.NotFoundHandler(), func() bool { return true }, quiet); err == nil {
		t.Error("no error")
	}
}
