package agentd

import (
	"errors"
	"log/slog"
	"net"
	"os"
	"sync"
	"syscall"
	"testing"

	"jackfield/internal/link/control"
	"jackfield/wire/inedo"
)

// A lostConn ends as TCP's keep-alive would have it.
type lostConn struct{ net.Conn }

func (c lostConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if err != nil {
		err = &net.OpError{Op: "read", Net: "tcp", Err: os.NewSyscallError("read", syscall.ETIMEDOUT)}
	}
	return n, err
}

// A server that does not answer any more is called so, whether the link or TCP notices it first.
func TestLinkLost(t *testing.T) {
	near, far := net.Pipe()
	var server sync.WaitGroup
	defer server.Wait()
	defer far.Close()
	server.Go(func() {
		defer far.Close()
		conn, err := inedo.Handshake(t.Context(), far, inedo.ClientConfig{Options: inedo.Options{MinProtocol: inedo.V2, MaxData: control.MaxData}})
		if err != nil {
			t.Error(err)
			return
		}
		link := control.Server(conn, nil)
		if _, err := link.Greet(control.ServerHello{Server: "test", Agent: "edge"}); err != nil {
			t.Error(err)
			return
		}
		link.Send(&control.Ping{Number: 1})
		for {
			m, err := link.Receive()
			if _, answered := m.(*control.Pong); answered || err != nil {
				return
			}
		}
	})
	conn, err := inedo.Accept(t.Context(), lostConn{near}, inedo.AgentConfig{Options: inedo.Options{MinProtocol: inedo.V2, MaxData: control.MaxData}})
	if err != nil {
		t.Fatal(err)
	}
	a := New(Options{Version: "test", Log: slog.New(slog.DiscardHandler)}, Offer{})
	if err := newLink(a, control.Agent(conn, nil), nil).run(t.Context(), func() {}); !errors.Is(err, errSilent) {
		t.Errorf("the link ended with %v", err)
	}
}
