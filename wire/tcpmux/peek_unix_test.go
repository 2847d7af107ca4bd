//go:build unix

package tcpmux

import (
	"errors"
	"io"
	"net"
	"syscall"
	"testing"
)

// TestSocketComesBack: on a bare socket the service's bytes stay in the kernel, for both roles.
func TestSocketComesBack(t *testing.T) {
	for _, tr := range transports {
		if tr.name != "tcp" && tr.name != "unix" {
			continue
		}
		t.Run(tr.name, func(t *testing.T) {
			client, server := tr.listen(t)()
			defer client.Close()
			defer server.Close()
			io.WriteString(client, "name\r\nDATA")
			if _, rest, err := ReadName(server, 0); err != nil || rest != server {
				t.Errorf("ReadName returned %T, %v", rest, err)
			}
			data := make([]byte, 10)
			if n, err := server.Read(data); err != nil || string(data[:n]) != "DATA" {
				t.Errorf("the socket has %q, %v", data[:n], err)
			}
			io.WriteString(server, "+\r\nDATA")
			if rest, _, err := Open(t.Context(), client, "name"); err != nil || rest != client {
				t.Errorf("Open returned %T, %v", rest, err)
			}
		})
	}
}

// TestReset: a connection that is reset has not ended in order, whatever it said before.
func TestReset(t *testing.T) {
	connect := socketPairs(t, "tcp", "127.0.0.1:0")
	for _, test := range []struct {
		name, begin string
		use         func(net.Conn) error
		client      bool
	}{
		{name: "no name", use: readName},
		{name: "within the name", begin: "xy", use: readName},
		{name: "no reply", use: open, client: true},
		{name: "within the reply", begin: "+xy", use: open, client: true},
		{name: "no list", use: list, client: true},
		{name: "within the list", begin: "abc\r\nde", use: list, client: true},
	} {
		for form, wrap := range map[string]func(halfConn) net.Conn{
			"peeked": func(c halfConn) net.Conn { return c },
			"hidden": func(c halfConn) net.Conn { return struct{ halfConn }{c} },
		} {
			t.Run(test.name+", "+form, func(t *testing.T) {
				remote, local := connect()
				defer local.Close()
				io.WriteString(remote, test.begin)
				check(t, remote.(*net.TCPConn).SetLinger(0)) // so that Close resets
				check(t, remote.Close())
				err := test.use(wrap(local))
				if !errors.Is(err, syscall.ECONNRESET) && !errors.Is(err, syscall.EPIPE) {
					t.Errorf("error %v, want a reset", err)
				}
				if test.client != errors.Is(err, ErrNoReply) {
					t.Errorf("error %v; it says that there was no reply: %t", err, !test.client)
				}
			})
		}
	}
}
