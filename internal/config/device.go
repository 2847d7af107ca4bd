package config

import (
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/hcl/v2"
)

// Device is a machine that dials in and speaks the Mihini protocol.
type Device struct {
	Name         string         // in lower case
	Listeners    []string       // names of those, of protocol "mihini", by which it may come
	From         []netip.Prefix // nil: from everywhere; it holds on listeners with TLS, too
	Refuse       bool           // one that comes again is refused while it has a link
	Strict       bool           // CLOSE ends both directions
	CloseDelay   time.Duration
	Linger       time.Duration
	StallTimeout time.Duration
	StallBytes   int64
	Probe        time.Duration // 0: never
	Where        string
}

var deviceBlock = &block{
	name:  "device",
	label: "NAME",
	doc: "A machine that dials in and speaks the [Mihini protocol](protocols/mihini.md). Its name is a DNS label. It is known by the listener and by its address, for the protocol has no names: " +
		"a port of its own for each device tells them apart best. By a listener with `tls = true` it comes with a client certificate for its name, and is known by that. What it may be asked to connect to is what services say, and nothing else.",
	changes: newSessions,
	attributes: []attribute{
		{
			name: "listeners", kind: list{of: "listener names"},
			doc: "The listeners, of protocol `mihini`, by which it may come. Unset: all of them.",
		},
		{
			name: "from", kind: list{of: "networks (CIDR) or addresses"},
			doc: "Where it comes from. No two devices of a listener without TLS may share an address. Unset: from everywhere.",
		},
		{
			name: "on_return", kind: word{"replace", "refuse"}, fallback: "replace",
			doc: "What becomes of it when it connects although it has a link: the new one replaces the old one, whose sessions end, or is refused. More than three replacements a minute are refused, too.",
		},
		{
			name: "half_close", kind: word{"late", "strict"}, fallback: "late",
			doc: "The protocol can only close a stream as a whole. `late`: a client's end is passed on when the device has sent nothing for `close_delay`, and what it still sends arrives. `strict`: at once.",
		},
		{
			name: "close_delay", kind: duration{0, time.Minute}, fallback: "1s",
			doc: "See `half_close`. `\"0s\"` for devices that go on sending after a close until their service ends, as `jackfield mihini device` does.",
		},
		{
			name: "linger", kind: duration{time.Second, time.Hour}, fallback: "30s",
			doc: "How long a stream of which one side is closed may be idle.",
		},
		{
			name: "stall_timeout", kind: duration{100 * time.Millisecond, 10 * time.Second}, fallback: "2s",
			doc: "All streams share one connection, and one whose client does not read holds up the others once 1 MiB waits for it. If it then takes fewer than `stall_bytes` in this time, it is closed.",
		},
		{
			name: "stall_bytes", kind: size{}, fallback: "128KiB",
			doc: "See `stall_timeout`.",
		},
		{
			name: "probe", kind: duration{0, time.Hour}, fallback: "0s",
			doc: "How often a device that is silent is asked for a sign of life, beyond what TCP does (15 s). `\"0s\"`: never. It should be longer than the device may need to dial.",
		},
	},
}

// device is a Device with what is needed to check references.
type device struct {
	*Device
	header    hcl.Range
	listeners []item
}

func (s *section) device() *Device {
	out := &Device{
		Name:         s.labelName(),
		From:         s.networks("from"),
		Refuse:       s.word("on_return") == "refuse",
		Strict:       s.word("half_close") == "strict",
		CloseDelay:   s.duration("close_delay"),
		Linger:       s.duration("linger"),
		StallTimeout: s.duration("stall_timeout"),
		StallBytes:   s.size("stall_bytes"),
		Probe:        s.duration("probe"),
		Where:        s.where(s.header),
	}
	if s.has("from") && out.From == nil {
		out.From = []netip.Prefix{} // bad ones: from nowhere
	}
	declared := &device{Device: out, header: s.header, listeners: s.list("listeners")}
	if first, again := s.devices.add(out.Name, s.label.at, declared); again {
		s.duplicate("device", s.label.at, first)
	}
	return out
}

// checkDevices finds the listeners of devices, and reports devices that could be taken for each other.
func (l *loader) checkDevices() {
	for _, d := range l.devices.order {
		d.Listeners = l.entrances(d)
	}
	for i, d := range l.devices.order {
		for _, other := range l.devices.order[:i] {
			if l.sharesPlainListener(d, other) && sharesAddress(d.From, other.From) {
				l.fail(d.header, "Devices cannot be told apart", "The device %q, at %s, may come by the same listener, which has no TLS, from the same address.",
					other.Name, other.Where)
			}
		}
	}
	for _, s := range l.services.order {
		if s.device.text != "" && l.devices.byName[s.Device] == nil {
			l.missing(s.device.at, "Unknown device", "%sthere is no device of this name.%s", l.source(s.device.at), didYouMean(s.Device, l.devices.names()))
		}
	}
}

// entrances returns the names of the listeners by which a device may come.
func (l *loader) entrances(d *device) []string {
	if d.listeners == nil {
		names := l.listenersThat(func(from *listener) bool { return from.protocol.linked == "devices" })
		if len(names) == 0 {
			l.missing(d.header, "Device without a listener", `There is no listener of protocol "mihini" by which it could come.`)
		}
		return names
	}
	var names []string
	for _, reference := range d.listeners {
		name := strings.ToLower(reference.text)
		switch found := l.listeners.byName[name]; {
		case found == nil:
			l.missing(reference.at, "Unknown listener", "%sthere is no listener of this name.%s", l.source(reference.at), didYouMean(name, l.listeners.names()))
		case found.Protocol == "": // reported already
		case found.protocol.linked != "devices":
			l.fail(reference.at, "Listener for clients", `Devices come by listeners of protocol "mihini"; this one has %q.`, found.Protocol)
		default:
			names = append(names, name)
		}
	}
	return names
}

// sharesPlainListener says whether two devices come by the same listener without certificates to tell them apart.
func (l *loader) sharesPlainListener(a, b *device) bool {
	return slices.ContainsFunc(a.Listeners, func(name string) bool {
		return slices.Contains(b.Listeners, name) && !l.listeners.byName[name].TLS
	})
}

func sharesAddress(a, b []netip.Prefix) bool {
	if a == nil || b == nil {
		return true
	}
	for _, x := range a {
		if slices.ContainsFunc(b, x.Overlaps) {
			return true
		}
	}
	return false
}
