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
func (i *Instance) Session(ctx context.Context, kind Kind) error {
	way, ok := i.way(kind)
	if !ok {
		return fmt.Errorf("%s has no session of the kind %s", i.peer.Name(), kind)
	}
	c, err := dial(ctx, way.Address)
	if err != nil {
		return err
	}
	defer c.Close()
	if way.Service != "" {
		if err := exchange(c, way.Service); err != nil {
			return err
		}
	}
	if err := backend.Echo(c); err != nil {
		return fmt.Errorf("one byte there and back: %w", err)
	}
	if err := c.CloseWrite(); err != nil {
		return err
	}
	if n, err := c.Read(make([]byte, 1)); n != 0 || !errors.Is(err, io.EOF) {
		return fmt.Errorf("instead of the end came %d bytes, %w", n, err)
	}
	return nil
}

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
			if len(line) == 0 || line[0] != '+' || len(bytes.TrimPrefix(rest, []byte{0})) > 0 {
				return fmt.Errorf("the answer to the name is %q", buffer[:n])
			}
			return nil
		}
	}
	return errors.New("the answer to the name has no end")
}
