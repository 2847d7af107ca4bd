package agentd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"

	"jackfield/internal/link/control"
	"jackfield/internal/logtest"
	"jackfield/wire/mihini"
)

// remote is a Mihini server that takes one link.
func remote(t *testing.T) (address string, port int32, links <-chan *mihini.Server) {
	t.Helper()
	s := newService(t)
	came := make(chan *mihini.Server, 1)
	done := make(chan struct{})
	go func() {
		defer close(done)
		conn, err := s.AcceptTCP()
		if err != nil {
			return
		}
		server, err := mihini.Accept(t.Context(), conn, mihini.ServerOptions{CloseDelay: -1})
		if err != nil {
			conn.Close()
			return
		}
		came <- server
		server.Run(t.Context())
	}()
	t.Cleanup(func() { s.Close(); <-done })
	host, number, _ := net.SplitHostPort(s.Addr().String())
	n, err := strconv.Atoi(number)
	if err != nil {
		t.Fatal(err)
	}
	return host, int32(n), came
}

func TestTunnel(t *testing.T) {
	h := newHouse(t)
	host, port, came := remote(t)
	echo := newService(t).echo()
	_, local, _ := net.SplitHostPort(echo.Addr().String())
	offer := Offer{Allow: allowing(t, echo.Addr().String()), Tunnel: TunnelDefaults{Server: fmt.Sprintf("%s:%d", host, port), Local: ":" + local}}
	h.join(t, "pi", h.options(), offer)
	for range 2 { // the second one is there already
		if err := h.agents.Link("pi").Tunnel(t.Context(), control.Tunnel{}); err != nil {
			t.Fatal(err)
		}
	}
	server := within(t, "the tunnel", came)
	number, _ := strconv.Atoi(local)
	stream, err := server.Open(t.Context(), mihini.Target{Address: "127.0.0.1", Port: uint16(number)})
	if err != nil {
		t.Fatal(err)
	}
	stream.SetDeadline(time.Now().Add(patience))
	ask(t, stream, "through the tunnel")
	stream.Close()
	if status, err := h.agents.Link("pi").Status(t.Context()); err != nil || status.MihiniTunnels != 1 {
		t.Errorf("the agent says %+v, %v", status, err)
	}
	stream, err = server.Open(t.Context(), mihini.Target{Address: "127.0.0.1", Port: 1})
	if err == nil {
		stream.SetDeadline(time.Now().Add(patience))
		if rest, err := io.ReadAll(stream); len(rest) > 0 || errors.Is(err, net.ErrClosed) {
			t.Errorf("another service answers %q, %v", rest, err)
		}
		stream.Close()
	}
}

func TestTunnelRefused(t *testing.T) {
	h := newHouse(t)
	h.join(t, "pi", h.options(), Offer{Allow: allowing(t, ":23")})
	for name, test := range map[string]struct {
		ask  control.Tunnel
		want string
	}{
		"no server":           {control.Tunnel{LocalPort: 23}, "the Mihini server"},
		"no local service":    {control.Tunnel{ServerAddress: "127.0.0.1", ServerPort: 1}, "the local service"},
		"a bad port":          {control.Tunnel{ServerAddress: "127.0.0.1", ServerPort: 70000, LocalPort: 23}, "the Mihini server"},
		"a negative port":     {control.Tunnel{ServerAddress: "127.0.0.1", ServerPort: 1, LocalPort: -1}, "the local service"},
		"what is not allowed": {control.Tunnel{ServerAddress: "127.0.0.1", ServerPort: 1, LocalPort: 22}, "allow-list"},
		"another server":      {control.Tunnel{ServerAddress: "127.0.0.2", ServerPort: 1, LocalPort: 23}, "the Mihini server 127.0.0.2:1"},
	} {
		if err := h.agents.Link("pi").Tunnel(t.Context(), test.ask); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestTooManyTunnels(t *testing.T) {
	a := New((&house{log: new(logtest.Buffer)}).options(), Offer{})
	ctx, end := context.WithCancel(t.Context())
	defer func() { end(); a.tunnels.wait() }()
	for port := range MaxTunnels {
		if _, err := a.startTunnel(ctx, "127.0.0.1:1", fmt.Sprintf("127.0.0.1:%d", port+1)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := a.startTunnel(ctx, "127.0.0.1:1", "127.0.0.1:1"); err != nil {
		t.Errorf("one that is there: %v", err)
	}
	if _, err := a.startTunnel(ctx, "127.0.0.1:1", "127.0.0.1:99"); err == nil {
		t.Error("there is one too many")
	}
}

// A tunnel ends with the allow-list's leave to it, and its place is free again.
func TestTunnelNotAllowedNow(t *testing.T) {
	h := newHouse(t)
	host, port, came := remote(t)
	a := h.join(t, "pi", h.options(), Offer{Allow: allowing(t, ":23"), Tunnel: TunnelDefaults{Server: fmt.Sprintf("%s:%d", host, port), Local: ":23"}})
	if err := h.agents.Link("pi").Tunnel(t.Context(), control.Tunnel{}); err != nil {
		t.Fatal(err)
	}
	within(t, "the tunnel", came)
	a.SetOffer(Offer{Allow: allowing(t, ":22")})
	eventually(t, "the end of the tunnel", func() bool { return a.tunnels.count() == 0 })
}
