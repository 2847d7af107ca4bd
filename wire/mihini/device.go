package mihini

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"sync"
	"time"
)

// DeviceOptions are the options of the device's role.
type DeviceOptions struct {
	Options

	// Allow decides whether the server may have address ("host:port", as the server wrote the host) dialled; an error
	// refuses. The link's reader waits for it. Nil refuses everything.
	Allow func(address string) error

	// Dial opens a connection to a service. Nil means [net.Dialer]. A connection should have CloseWrite; without it, a
	// half-close closes it.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)

	// DialTimeout is the time for Dial (10 s). DATA waits meanwhile.
	DialTimeout time.Duration

	// HoldEarlyData keeps DATA whose CONNECT has not come yet, up to MaxEarly bytes for EarlyTime, instead of refusing
	// it. Original servers need it for clients that speak first.
	HoldEarlyData bool

	// Opened is called when a service is connected, Closed once for each Opened when its connection is closed, with nil
	// if both sides ended in order. Refused is called for each CONNECT that was answered with CLOSE for err.
	Opened  func(*Stream)
	Closed  func(s *Stream, err error)
	Refused func(t Target, err error)
}

// A Device is the end of a link that reaches the services.
type Device struct {
	link
	o       DeviceOptions
	serving sync.WaitGroup
	places  chan struct{} // one for each stream being served
}

// maxServed is how many streams a device serves at a time: each id may have replaced a stream that is still ending.
const maxServed = 2 * MaxStreams

// leaveTime is how long a device that is told to stop waits for the server's end.
const leaveTime = time.Second

// NewDevice prepares the device's end of a link to the server at the other end of conn. Nothing is sent before Run.
func NewDevice(conn net.Conn, o DeviceOptions) *Device {
	d := &Device{o: o, places: make(chan struct{}, maxServed)}
	d.init(conn, o.Options)
	d.keepsSending = !o.Strict
	d.leaveTime = leaveTime
	d.link.connect = d.connect
	d.o.DialTimeout = cmp.Or(o.DialTimeout, DefaultDialTimeout)
	if o.Dial == nil {
		d.o.Dial = (&net.Dialer{}).DialContext
	}
	if o.HoldEarlyData {
		d.early = &early{link: &d.link}
	}
	return d
}

// Run sends LISTEN and serves the link until it ends, closes its connection and those of its services, and returns why
// it ended, never nil; when ctx ends, its cause. Then it leaves in order: it ends its direction, and has a second for the
// server to end the other one. Services get a second for what was already received for them. Run is called once.
func (d *Device) Run(ctx context.Context) error {
	stop := context.AfterFunc(ctx, func() { _ = d.conn.Close() })
	_, err := d.conn.Write(appendHeader(nil, 0, Listen, 0))
	if !stop() {
		return context.Cause(ctx)
	}
	if err != nil {
		_ = d.conn.Close()
		return err
	}
	err = d.run(ctx)
	d.early.stop()
	d.serving.Wait()
	return err
}

// Stats returns the link's state and counters.
func (d *Device) Stats() Stats { return d.snapshot() }

// Streams lists the streams that the server has opened and not both sides have closed, by id.
func (d *Device) Streams() []StreamInfo { return d.list() }

// connect opens a stream, or has CLOSE sent if it may not be opened. A stream that had the id is replaced.
func (d *Device) connect(id uint8, t Target) {
	t.Address = cmp.Or(t.Address, "127.0.0.1")
	s, ctx := d.place(id, t)
	err := d.admit(t)
	if err == nil {
		d.serving.Go(func() {
			defer func() { <-d.places }()
			d.serve(ctx, s)
		})
		return
	}
	d.refuse(s, err)
}

// place puts a new stream into its slot.
func (d *Device) place(id uint8, t Target) (*Stream, context.Context) {
	ctx, broken := context.WithCancel(d.life)
	s := newStream(&d.link, id, t)
	s.broken = broken
	d.mu.Lock()
	defer d.mu.Unlock()
	if old := d.slots[id].stream; old != nil {
		old.replace()
	}
	d.slots[id].owe = false
	d.used[id] = true
	d.early.claim(s)
	d.slots[id].stream = s
	d.stats.Opened++
	return s, ctx
}

// admit decides whether a service may be dialled, and takes a place for it.
func (d *Device) admit(t Target) error {
	if err := checkHost(t.Address); err != nil {
		return err
	}
	if d.o.Allow == nil {
		return ErrNotAllowed
	}
	if err := d.o.Allow(t.String()); err != nil {
		return err
	}
	select {
	case d.places <- struct{}{}:
		return nil
	default:
		return ErrCrowded
	}
}

// checkHost refuses what cannot be a host, before it is shown to anybody.
func checkHost(host string) error {
	if len(host) > MaxHost {
		return fmt.Errorf("%w: it has %d bytes, %d are allowed", ErrHost, len(host), MaxHost)
	}
	for i := range len(host) {
		if host[i] <= ' ' || host[i] == 0x7f {
			return fmt.Errorf("%w: %q", ErrHost, host)
		}
	}
	return nil
}

func (d *Device) refuse(s *Stream, err error) {
	d.mu.Lock()
	s.abort(err)
	d.mu.Unlock()
	if d.o.Refused != nil {
		d.o.Refused(s.target, err)
	}
}

// refuseConnect answers a malformed CONNECT with CLOSE. The server no longer means the stream that may have had the id.
func (l *link) refuseConnect(id uint8) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if old := l.slots[id].stream; old != nil {
		old.replace()
	}
	l.oweClose(id)
}
