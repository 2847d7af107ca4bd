//go:build linux

package peer

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"

	"jackfield/bench/backend"
)

// A Kind is what a session of a Multiplexer leads to. Each of them echoes.
type Kind string

// The kinds of sessions.
const (
	Program Kind = "program" // /bin/cat, started for the session
	Forward Kind = "forward" // the service, over a connection of the peer's own
	Echo    Kind = "echo"    // the echo inside the server, or what the peer has instead
)

// A Multiplexer is a peer that speaks TCPMUX (RFC 1078).
type Multiplexer interface {
	Peer

	// Way returns how a client gets to a session of that kind; false if the peer offers none.
	Way(p Place, kind Kind) (Way, bool)
}

// A Way is where to connect, and the name to ask for there. With no name there is no exchange.
type Way struct {
	Address string
	Service string
}

// Offers says whether the peer has sessions of that kind.
func (i *Instance) Offers(kind Kind) bool {
	_, ok := i.way(kind)
	return ok
}

func (i *Instance) way(kind Kind) (Way, bool) {
	m, ok := i.peer.(Multiplexer)
	if !ok {
		return Way{}, false
	}
	return m.Way(i.place, kind)
}

// Session goes through one whole session: it connects, asks for the service and waits for the answer, takes one byte there
// and back, ends its direction and waits for the other's end.
func (i *Instance) Session(ctx context.Context, kind Kind) error { return i.Sessions(ctx, kind, 1) }

// Sessions goes through several sessions, all of which are open at the same time.
func (i *Instance) Sessions(ctx context.Context, kind Kind, n int) error {
	var open []*net.TCPConn
	defer func() {
		for _, c := range open {
			c.Close()
		}
	}()
	for range n {
		c, err := i.open(ctx, kind)
		if err != nil {
			return err
		}
		open = append(open, c)
		if err := backend.Echo(c); err != nil {
			return fmt.Errorf("one byte there and back: %w", err)
		}
	}
	for _, c := range open {
		if err := end(c); err != nil {
			return err
		}
	}
	return nil
}

func end(c *net.TCPConn) error {
	if err := c.CloseWrite(); err != nil {
		return err
	}
	if n, err := c.Read(make([]byte, 1)); n != 0 || !errors.Is(err, io.EOF) {
		return fmt.Errorf("instead of the end came %d bytes, %w", n, err)
	}
	return nil
}

// Ask goes only through the beginning of a session: it connects, asks for the service, waits for the answer, and closes.
func (i *Instance) Ask(ctx context.Context, kind Kind) error {
	c, err := i.open(ctx, kind)
	if err != nil {
		return err
	}
	return c.Close()
}

// open connects to a session that begins with whatever the client sends next.
func (i *Instance) open(ctx context.Context, kind Kind) (*net.TCPConn, error) {
	way, ok := i.way(kind)
	if !ok {
		return nil, fmt.Errorf("%s has no session of the kind %s", i.peer.Name(), kind)
	}
	c, err := dial(ctx, way.Address)
	if err != nil || way.Service == "" {
		return c, err
	}
	if err := exchange(c, way.Service); err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

// A Through is the path to the backend in sessions of one kind.
type Through struct {
	*Instance
	Kind Kind
}

// Dial opens a session. Its connection has the deadline of ctx.
func (t Through) Dial(ctx context.Context) (*net.TCPConn, error) { return t.open(ctx, t.Kind) }

// ErrRefused is what a session fails with whose client was told no.
var ErrRefused = errors.New("refused")

// longestAnswer bounds the line with which a server answers.
const longestAnswer = 512

// exchange sends the name and takes the answer up to its line feed, and the NUL that xinetd sends behind it.
func exchange(c net.Conn, service string) error {
	if _, err := io.WriteString(c, service+"\r\n"); err != nil {
		return err
	}
	buffer := make([]byte, longestAnswer)
	for n := 0; n < len(buffer); {
		m, err := c.Read(buffer[n:])
		if err != nil {
			return fmt.Errorf("answer to the name: %w", err)
		}
		n += m
		if line, rest, ended := bytes.Cut(buffer[:n], []byte("\n")); ended {
			if bytes.HasPrefix(line, []byte("-")) {
				return fmt.Errorf("%w: %q", ErrRefused, line)
			}
			if len(line) == 0 || line[0] != '+' || len(bytes.TrimPrefix(rest, []byte{0})) > 0 {
				return fmt.Errorf("the answer to the name is %q", buffer[:n])
			}
			return nil
		}
	}
	return errors.New("the answer to the name has no end")
}
