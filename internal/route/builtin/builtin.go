// Package builtin is the route to the small services of inetd, which need no program: echo (RFC 862), discard (RFC 863),
// chargen (RFC 864), qotd (RFC 865), daytime (RFC 867) and time (RFC 868), each over TCP only.
//
// Rules:
//   - A client on a bare TCP socket is served on that socket; any other through a pipe in memory. The services do not
//     know which.
//   - A service that has said everything ends its direction and reads on a little, so that the client's own bytes cannot
//     turn the end into a reset that destroys the answer.
//   - An idle session holds one buffer of 4 KiB and no descriptor beside the client's.
//
// It has no UDP forms, and no options.
package builtin

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"jackfield"
)

// How much is read from a client after the answer, and for how long.
const (
	lingerBytes = 4 << 10
	lingerTime  = time.Second
)

// A Route serves clients itself. It is safe for concurrent use.
type Route struct {
	name    string
	service service
	now     func() time.Time
}

var _ jackfield.SocketTaker = (*Route)(nil)

// New returns the route to the builtin service of that name. Its error tells which there are.
func New(name string) (*Route, error) {
	for _, s := range services {
		if s.name == name {
			return &Route{name: name, service: s.run, now: time.Now}, nil
		}
	}
	return nil, fmt.Errorf("no builtin service is named %q; there are %s", name, strings.Join(Names(), ", "))
}

// Names returns the names of all builtin services in alphabetical order.
func Names() []string {
	names := make([]string, len(services))
	for i, s := range services {
		names[i] = s.name
	}
	return names
}

// String returns "builtin" and the service's name.
func (r *Route) String() string { return "builtin " + r.name }

// Open starts the service behind a pipe and never fails. The service ends when the stream is closed.
func (r *Route) Open(ctx context.Context, _ *jackfield.Request) (jackfield.Stream, error) {
	client, server := pipe()
	serving := context.WithoutCancel(ctx) // ctx stands for opening alone
	go func() {
		defer server.Close()
		r.serve(serving, server) // what goes wrong, the other end of the pipe sees as well
	}()
	return client, nil
}

// serve runs one session up to the point where the stream can be closed.
func (r *Route) serve(ctx context.Context, s jackfield.Stream) error {
	if err := r.service(s, r.now); err != nil {
		return err
	}
	if err := s.CloseWrite(); err != nil {
		return err
	}
	linger(ctx, s)
	return nil
}

// linger reads what a client still sends, to its end or a limit. The answer is out: nothing that goes wrong matters.
func linger(ctx context.Context, s jackfield.Stream) {
	s.SetReadDeadline(time.Now().Add(lingerTime))
	if ctx.Err() != nil {
		return // the deadline of the cancellation may just have been overwritten
	}
	io.Copy(io.Discard, io.LimitReader(s, lingerBytes))
}
