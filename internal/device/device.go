// Package device is Jackfield in the place of a device that speaks the Mihini protocol: it dials a server, offers services by
// an allow-list of its own, and dials again whenever the link is lost.
//
//	err := device.Run(ctx, device.Options{Server: "gw.example:2065", Allow: allowed, Log: log}) // until ctx ends
//
// The allow-list wins over whatever the server asks for. The package's counterpart is internal/listen/mihini.
package device

import (
	"context"
	"crypto/tls"
	"log/slog"
	"math/rand/v2"
	"net"
	"time"

	"jackfield/wire/mihini"
)

// Options say which server a device dials, and what it offers.
type Options struct {
	Server string // "host:port"
	Allow  AllowList

	TLS *tls.Config // of the link, with the device's certificate; nil: it is clear text

	// HoldEarlyData is for servers that send a client's first bytes before they ask for its connection, as the original one does.
	HoldEarlyData bool

	// Linked is called whenever the link is up. May be nil.
	Linked func()

	Log *slog.Logger
}

const (
	dialTimeout = 10 * time.Second
	deadTime    = 15 * time.Second // after which a server that does not answer any more is given up

	firstPause = time.Second // before dialling again; doubled up to the last, and shortened by up to half at random
	lastPause  = time.Minute
	steady     = time.Minute // a link that lasted so long begins with the first pause again
)

// Run serves the link until ctx ends, and returns its cause.
func Run(ctx context.Context, o Options) error {
	pause := firstPause
	for {
		begin := time.Now()
		err := serve(ctx, o)
		if ctx.Err() != nil {
			o.Log.Info("stopped")
			return context.Cause(ctx)
		}
		if time.Since(begin) >= steady {
			pause = firstPause
		}
		wait := pause/2 + rand.N(pause/2)
		pause = min(2*pause, lastPause)
		o.Log.Warn("no link to the server", "server", o.Server, "error", err, "again_in", wait.Round(time.Millisecond).String())
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(wait):
		}
	}
}

// serve dials the server and serves one link.
func serve(ctx context.Context, o Options) error {
	conn, err := o.dial(ctx)
	if err != nil {
		return err
	}
	if err := mihini.Tune(conn, deadTime); err != nil {
		conn.Close()
		return err
	}
	o.Log.Info("linked", "server", o.Server, "local", conn.LocalAddr().String())
	if o.Linked != nil {
		o.Linked()
	}
	return mihini.NewDevice(conn, o.forLink()).Run(ctx)
}

func (o Options) dial(ctx context.Context) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	if o.TLS == nil {
		return new(net.Dialer).DialContext(ctx, "tcp", o.Server)
	}
	return (&tls.Dialer{Config: o.TLS}).DialContext(ctx, "tcp", o.Server)
}

func (o Options) forLink() mihini.DeviceOptions {
	return mihini.DeviceOptions{
		Options: mihini.Options{
			ProtocolError: func(err error) { o.Log.Warn("the server broke the protocol", "error", err) },
		},
		Allow:         o.Allow.Check,
		HoldEarlyData: o.HoldEarlyData,
		Opened: func(s *mihini.Stream) {
			o.Log.Info("stream opened", "stream", s.ID(), "service", s.Target().String())
		},
		Closed: func(s *mihini.Stream, err error) {
			received, sent := s.Transfer()
			attrs := []any{"stream", s.ID(), "service", s.Target().String(), "bytes_to_service", received, "bytes_from_service", sent}
			if err != nil {
				attrs = append(attrs, "error", err)
			}
			o.Log.Info("stream closed", attrs...)
		},
		Refused: func(t mihini.Target, err error) {
			o.Log.Warn("stream refused", "service", t.String(), "error", err)
		},
	}
}
