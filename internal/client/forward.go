package client

import (
	"context"
	"errors"
	"net"
	"sync"
	"time"

	"jackfield"
	"jackfield/internal/relay"
)

// MaxForwarded is how many connections of one forwarded port are open at once. More are reset.
const MaxForwarded = 256

// A Forwarder joins connections to a local port with a service, one session each.
type Forwarder struct {
	Listener *net.TCPListener
	Open     func(ctx context.Context) (jackfield.Stream, error) // opens a session

	// Failed is told why a session could not be opened, whose client is reset then; nil is told when one could be. It is
	// called by many goroutines.
	Failed func(error)
}

var errTooMany = errors.New("too many connections are open already")

// Run serves until the context ends, which resets all connections, and closes the listener. While the server cannot be reached,
// clients are reset; those that come when it can be are served. The error is that of a listener that takes no more clients.
func (f *Forwarder) Run(ctx context.Context) error {
	stop := context.AfterFunc(ctx, func() { f.Listener.Close() })
	defer stop()
	defer f.Listener.Close()
	var open sync.WaitGroup
	defer open.Wait()
	places := make(chan struct{}, MaxForwarded)
	for {
		local, err := f.Listener.AcceptTCP()
		switch {
		case ctx.Err() != nil:
			if err == nil {
				local.Close()
			}
			return nil
		case err != nil && errors.Is(err, net.ErrClosed):
			return err
		case err != nil: // the client has gone already, or there are no descriptors left
			pause(ctx, acceptPause)
			continue
		}
		select {
		case places <- struct{}{}:
			open.Go(func() {
				defer func() { <-places }()
				f.serve(ctx, local)
			})
		default:
			f.Failed(errTooMany)
			reset(local)
		}
	}
}

// acceptPause keeps a port that cannot take clients from trying all the time.
const acceptPause = 100 * time.Millisecond

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

func (f *Forwarder) serve(ctx context.Context, local *net.TCPConn) {
	stream, err := f.Open(ctx)
	if err != nil {
		reset(local)
		if ctx.Err() == nil {
			f.Failed(err)
		}
		return
	}
	f.Failed(nil)
	relay.Join(ctx, local, stream, new(relay.Counters), relay.Options{})
}

// reset ends a connection so that its client does not take it for an answer without bytes.
func reset(conn *net.TCPConn) {
	_ = conn.SetLinger(0)
	_ = conn.Close()
}
