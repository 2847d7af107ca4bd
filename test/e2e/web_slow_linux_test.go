package e2e

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"syscall"
	"testing"
	"time"

	"jackfield/test/live"
)

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
	timeout := live.Equal("reason", "timeout")
	awaitLog(t, s.Server, timeout)
	if lines := live.Select(s.Output(), timeout); len(lines) != 1 {
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
	counted := func() float64 { return s.refusals(t, "plain", "connections") }
	if !eventually(func() bool { return counted() >= come-most+1 }) || counted() > come-most+1 {
		t.Errorf("%v refusals are counted", counted())
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
