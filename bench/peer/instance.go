//go:build linux

package peer

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
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
	peer     Peer
	stage    Stage
	service  string
	place    Place
	programs []running // a tunnel has two, the device last
}

type running struct {
	*process.Process
	what string
}

// Start starts a peer in front of the service and returns when it forwards.
func (s Stage) Start(ctx context.Context, p Peer, service string) (*Instance, error) {
	place, err := s.prepare(p, service)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", p.Name(), err)
	}
	i := &Instance{peer: p, stage: s, service: service, place: place}
	if err := i.start(ctx); err != nil {
		i.Stop()
		return nil, fmt.Errorf("%s: %w\n%s", p.Name(), err, i.logTail())
	}
	return i, nil
}

func (s Stage) prepare(p Peer, service string) (Place, error) {
	place := Place{Service: service, User: s.User}
	for _, address := range []*string{&place.Listen, &place.Link, &place.Forward, &place.API, &place.Secure} {
		var err error
		if *address, err = process.FreeAddress(); err != nil {
			return place, err
		}
	}
	dir, err := os.MkdirTemp(s.Dir, "place-")
	if err != nil {
		return place, err
	}
	place.Dir = dir
	if as := s.User.As; as != nil {
		err = os.Chown(dir, int(as.Uid), int(as.Gid))
	}
	return place, err
}

func (i *Instance) start(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, readyWithin)
	defer cancel()
	if err := i.run("program", i.peer.Command); err != nil {
		return err
	}
	if t, ok := i.peer.(Tunnel); ok {
		if err := i.wait(ctx, "listen for its device", i.listens); err != nil {
			return err
		}
		if err := i.run("device", t.Device); err != nil {
			return err
		}
	}
	return i.wait(ctx, "forward", i.forwards)
}

func (i *Instance) run(what string, command func(p Place) (process.Spec, error)) error {
	spec, err := command(i.place)
	if err != nil {
		return err
	}
	spec.Dir, spec.As, spec.Log = i.place.Dir, i.stage.User.As, filepath.Join(i.place.Dir, what+".log")
	program, err := i.stage.Supervisor.Start(spec)
	if err == nil {
		i.programs = append(i.programs, running{program, what})
	}
	return err
}

// wait tries something over and over until it succeeds.
func (i *Instance) wait(ctx context.Context, what string, try func(ctx context.Context) error) error {
	for {
		err := try(ctx)
		if err == nil {
			return nil
		}
		for _, p := range i.programs {
			select {
			case <-p.Done():
				return fmt.Errorf("the %s ended at its start", p.what)
			default:
			}
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("does not %s: %w", what, err)
		case <-time.After(5 * time.Millisecond):
		}
	}
}

func (i *Instance) listens(ctx context.Context) error {
	c, err := dial(ctx, i.place.Link)
	if err != nil {
		return err
	}
	return c.Close()
}

func (i *Instance) forwards(ctx context.Context) error {
	if _, ok := i.peer.(Multiplexer); ok {
		return i.Session(ctx, Echo)
	}
	return i.Open(ctx)
}

// Open opens a connection, takes one byte there and back, and closes it.
func (i *Instance) Open(ctx context.Context) error {
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
func (i *Instance) Usage() (process.Usage, error) {
	var sum process.Usage
	usages, err := i.Usages()
	for _, usage := range usages {
		sum.Resident += usage.Resident
		sum.Descriptors += usage.Descriptors
	}
	return sum, err
}

// Usages weighs the programs of the forwarder one by one: of a tunnel the server, and then the device.
func (i *Instance) Usages() ([]process.Usage, error) {
	var usages []process.Usage
	for _, p := range i.programs {
		usage, err := p.Usage()
		if err != nil {
			return nil, err
		}
		usages = append(usages, usage)
	}
	return usages, nil
}

// Restart ends the forwarder and starts it again, in the same place and with what it has kept there.
func (i *Instance) Restart(ctx context.Context) error {
	i.Stop()
	i.programs = nil
	if err := i.start(ctx); err != nil {
		return fmt.Errorf("%s: %w\n%s", i.peer.Name(), err, i.logTail())
	}
	return nil
}

// Another starts one more instance of the same peer in front of the same service.
func (i *Instance) Another(ctx context.Context) (*Instance, error) {
	return i.stage.Start(ctx, i.peer, i.service)
}

// Taken is how many bytes of uploads the service has got.
func (i *Instance) Taken(ctx context.Context) (uint64, error) {
	return backend.Discarded(ctx, i.service)
}

// Settle waits until no connection to the service is left.
func (i *Instance) Settle(ctx context.Context) error { return backend.WaitQuiet(ctx, i.service) }

// Stop ends the forwarder.
func (i *Instance) Stop() {
	for _, p := range slices.Backward(i.programs) {
		p.Stop()
	}
}

func (i *Instance) logTail() string {
	var b strings.Builder
	for _, p := range i.programs {
		b.WriteString(p.LogTail())
	}
	return b.String()
}
