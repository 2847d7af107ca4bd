// Package link keeps the links of those who reach services for us: devices, which dialled in and speak the Mihini protocol, and
// agents, which are Jackfield (agents.go).
//
//	link, ctx, err := devices.Enter(ctx, link.Arrival{Device: "meter-7", Source: source}, server)
//	defer link.Leave()
//	server.Run(ctx)
//
//	stream, err := devices.Open(ctx, "meter-7", target) // from anywhere else
//
// Its rules are these:
//   - A device has one link. One that comes again replaces its old link, whose streams end with it, or is refused, as the
//     configuration says.
//   - More than MaxReplacements within ReplacementTime are refused, too: two devices that are taken for one do that, and
//     would cut each other's streams for ever.
//   - Links outlive generations of the configuration. What a device may be asked for is the route's business.
package link

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"time"

	"jackfield/wire/mihini"
)

// How often a device's link may be replaced.
const (
	MaxReplacements = 3
	ReplacementTime = time.Minute
)

var (
	// ErrNotConnected says that the device has no link.
	ErrNotConnected = errors.New("it has no link")

	// ErrConnected says that the device has a link, and is not to replace it.
	ErrConnected = errors.New("the device is connected already")

	// ErrReplacedOften says that the device has replaced its link too often.
	ErrReplacedOften = fmt.Errorf("the device has come back more than %d times within %v: are there two of them?",
		MaxReplacements, ReplacementTime)

	errReplaced = errors.New("the device has connected anew")
)

// Devices is the table of the devices' links. It is safe for concurrent use.
type Devices struct {
	mu       sync.Mutex
	links    map[string]*Link       // guarded by mu, by device
	replaced map[string][]time.Time // guarded by mu: when links of a device were replaced, those of the last ReplacementTime
	watchers watchers
}

// NewDevices returns an empty table.
func NewDevices() *Devices {
	return &Devices{links: make(map[string]*Link), replaced: make(map[string][]time.Time)}
}

// An Arrival is a device that has come.
type Arrival struct {
	ID       string // of the request that became the link
	Device   string // its name in the configuration
	Listener string
	Source   netip.AddrPort
	Refuse   bool // it must not replace a link that it has
}

// A Link is a device's link while it is in the table.
type Link struct {
	Arrival
	Since time.Time

	server  *mihini.Server
	cancel  context.CancelCauseFunc
	devices *Devices
}

// Enter takes a link into the table. The context that it returns ends when the link is replaced or cut, with why as the
// cause. The caller calls Leave when the link has ended.
func (d *Devices) Enter(ctx context.Context, a Arrival, server *mihini.Server) (*Link, context.Context, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if old := d.links[a.Device]; old != nil {
		if err := d.replace(old, a); err != nil {
			return nil, nil, err
		}
	}
	ctx, cancel := context.WithCancelCause(ctx)
	l := &Link{Arrival: a, Since: time.Now(), server: server, cancel: cancel, devices: d}
	d.links[a.Device] = l
	d.watchers.tell()
	return l, ctx, nil
}

// replace ends an old link in favour of one that has come. It is called with mu held.
func (d *Devices) replace(old *Link, a Arrival) error {
	if a.Refuse {
		return ErrConnected
	}
	now := time.Now()
	recent := slices.DeleteFunc(d.replaced[a.Device], func(t time.Time) bool { return now.Sub(t) >= ReplacementTime })
	d.replaced[a.Device] = recent
	if len(recent) >= MaxReplacements {
		return ErrReplacedOften
	}
	d.replaced[a.Device] = append(recent, now)
	old.cancel(errReplaced)
	return nil
}

// Leave takes the link out of the table, if it is still there.
func (l *Link) Leave() {
	l.cancel(context.Canceled)
	d := l.devices
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.links[l.Device] == l {
		delete(d.links, l.Device)
		d.watchers.tell()
	}
}

// Open opens a stream to a service of a device. The error is ErrNotConnected, or one of [mihini.Server.Open].
func (d *Devices) Open(ctx context.Context, device string, t mihini.Target) (*mihini.Stream, error) {
	d.mu.Lock()
	l := d.links[device]
	d.mu.Unlock()
	if l == nil {
		return nil, ErrNotConnected
	}
	return l.server.Open(ctx, t)
}

// Connected says whether the device has a link.
func (d *Devices) Connected(device string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.links[device] != nil
}

// A State is what can be seen of a link.
type State struct {
	Arrival
	Since time.Time
	mihini.Stats
}

// List returns the links, by device.
func (d *Devices) List() []State {
	d.mu.Lock()
	links := make([]*Link, 0, len(d.links))
	for _, l := range d.links {
		links = append(links, l)
	}
	d.mu.Unlock()
	slices.SortFunc(links, func(a, b *Link) int { return cmp.Compare(a.Device, b.Device) })
	states := make([]State, len(links))
	for i, l := range links {
		states[i] = State{l.Arrival, l.Since, l.server.Stats()}
	}
	return states
}

// Cut ends the links that why has a reason for, which becomes their end. It does not wait for their end.
func (d *Devices) Cut(why func(Arrival) error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, l := range d.links {
		if err := why(l.Arrival); err != nil {
			l.cancel(err)
		}
	}
}

// Watch has f called, in a goroutine of its own, at once and after devices have come or gone. Calls may be fewer than changes.
func (d *Devices) Watch(ctx context.Context, f func()) { d.watchers.watch(ctx, f) }
