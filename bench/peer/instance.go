//go:build linux

package peer

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"time"

	"jackfield/bench/backend"
	"jackfield/bench/process"
)

// readyWithin is how long a peer may take from its start to the first byte that it forwards.
const readyWithin = 15 * time.Second

// A Stage is what instances need to run: somebody to own them, a directory that they may enter, and whom to run them as.
type Stage struct {
	Supervisor *process.Supervisor
	Dir        string
	User       User
}

// An Instance is a running forwarder.
type Instance struct {
	peer    Peer
	stage   Stage
	service string
	place   Place
	program *process.Process
}

// Start starts a peer in front of the service and returns when it forwards.
func (s Stage) Start(ctx context.Context, p Peer, service string) (*Instance, error) {
	spec, place, err := s.prepare(p, service)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", p.Name(), err)
	}
	program, err := s.Supervisor.Start(spec)
	if err != nil {
		return nil, err
	}
	i := &Instance{peer: p, stage: s, service: service, place: place, program: program}
	if err := i.waitReady(ctx); err != nil {
		i.Stop()
		return nil, fmt.Errorf("%s: %w\n%s", p.Name(), err, program.LogTail())
	}
	return i, nil
}

func (s Stage) prepare(p Peer, service string) (process.Spec, Place, error) {
	place := Place{Service: service, User: s.User}
	for _, address := range []*string{&place.Listen, &place.Forward} {
		var err error
		if *address, err = process.FreeAddress(); err != nil {
			return process.Spec{}, place, err
		}
	}
	dir, err := os.MkdirTemp(s.Dir, p.Name()+"-")
	if err != nil {
		return process.Spec{}, place, err
	}
	place.Dir = dir
	if as := s.User.As; as != nil {
		if err := os.Chown(dir, int(as.Uid), int(as.Gid)); err != nil {
			return process.Spec{}, place, err
		}
	}
	spec, err := p.Command(place)
	spec.Dir, spec.As, spec.Log = dir, s.User.As, filepath.Join(dir, "log")
	return spec, place, err
}

func (i *Instance) waitReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, readyWithin)
	defer cancel()
	for {
		err := i.forwards(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-i.program.Done():
			return errors.New("ended at its start")
		case <-ctx.Done():
			return fmt.Errorf("does not forward: %w", err)
		case <-time.After(5 * time.Millisecond):
		}
	}
}

func (i *Instance) forwards(ctx context.Context) error {
	if _, ok := i.peer.(Multiplexer); ok {
		return i.Session(ctx, Echo)
	}
	c, err := i.Dial(ctx)
	if err != nil {
		return err
	}
	defer c.Close()
	return backend.Echo(c)
}

// Dial opens a connection to the forwarder. It has the deadline of ctx.
func (i *Instance) Dial(ctx context.Context) (*net.TCPConn, error) { return dial(ctx, i.place.Listen) }

func dial(ctx context.Context, address string) (*net.TCPConn, error) {
	d := net.Dialer{KeepAlive: -1}
	c, err := d.DialContext(ctx, "tcp4", address)
	if err != nil {
		return nil, err
	}
	if deadline, ok := ctx.Deadline(); ok {
		if err := c.SetDeadline(deadline); err != nil {
			c.Close()
			return nil, err
		}
	}
	return c.(*net.TCPConn), nil
}

// Service is the backend's own address, around the forwarder.
func (i *Instance) Service() string { return i.service }

// Usage weighs the forwarder, all its processes together.
func (i *Instance) Usage() (process.Usage, error) { return i.program.Usage() }

// Another starts one more instance of the same peer in front of the same service.
func (i *Instance) Another(ctx context.Context) (*Instance, error) {
	return i.stage.Start(ctx, i.peer, i.service)
}

// Settle waits until no connection to the service is left.
func (i *Instance) Settle(ctx context.Context) error { return backend.WaitQuiet(ctx, i.service) }

// Stop ends the forwarder.
func (i *Instance) Stop() { i.program.Stop() }
