// Package mihini is the route to a service of a device that has dialled in and speaks the Mihini protocol.
//
// The protocol does not say whether the device could reach the service: a stream is open as soon as the device was asked, and
// one that the device closes without a byte is reset.
package mihini

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"time"

	"jackfield"
	"jackfield/internal/link"
	"jackfield/wire/mihini"
)

// Devices opens streams through the links of devices, as [link.Devices] does.
type Devices interface {
	Open(ctx context.Context, device string, t mihini.Target) (*mihini.Stream, error)
	Connected(device string) bool
}

// A Route asks a device to connect to an address. It is safe for concurrent use.
type Route struct {
	devices Devices
	device  string
	target  mihini.Target
}

var _ jackfield.Dialler = (*Route)(nil)

// New returns the route to an address on the network of a device. Without a host it is the device's own 127.0.0.1. The device
// resolves a name.
func New(devices Devices, device, address string) (*Route, error) {
	host, service, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	port, err := strconv.ParseUint(service, 10, 16)
	if err != nil || port == 0 {
		return nil, fmt.Errorf("%q is no port: a device is told a number from 1 to 65535", service)
	}
	if host == "" {
		host = "127.0.0.1"
	}
	if len(host) > mihini.MaxHost {
		return nil, fmt.Errorf("a host has at most %d bytes", mihini.MaxHost)
	}
	return &Route{devices, device, mihini.Target{Address: host, Port: uint16(port)}}, nil
}

// String describes the route, such as "mihini meter-7 127.0.0.1:23".
func (r *Route) String() string { return "mihini " + r.device + " " + r.target.String() }

// Destinations returns the address that the device dials.
func (r *Route) Destinations() []string { return []string{r.target.String()} }

// Ready returns why a stream could not be opened now, as far as that is known.
func (r *Route) Ready() error {
	if !r.devices.Connected(r.device) {
		return fmt.Errorf("device %s: %w", r.device, link.ErrNotConnected)
	}
	return nil
}

// openTimeout is how long the link may take to accept one more stream.
const openTimeout = 10 * time.Second

// Open opens a stream through the device's link.
func (r *Route) Open(ctx context.Context, _ *jackfield.Request) (jackfield.Stream, error) {
	ctx, cancel := context.WithTimeout(ctx, openTimeout)
	defer cancel()
	stream, err := r.devices.Open(ctx, r.device, r.target)
	switch {
	case err == nil:
		return stream, nil
	case errors.Is(err, mihini.ErrBusy):
		return nil, jackfield.Refuse(jackfield.Limited, "all lines to the device are in use, try again later", err)
	case errors.Is(err, link.ErrNotConnected):
		return nil, jackfield.Refuse(jackfield.Unavailable, "the device is not connected", fmt.Errorf("device %s: %w", r.device, err))
	}
	return nil, jackfield.Refuse(jackfield.Unavailable, "the device cannot be reached", fmt.Errorf("device %s: %w", r.device, err))
}
