package listen

import (
	"context"
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// A socket accepts clients and gives each to the server that it has at that moment.
type socket struct {
	listener *net.TCPListener
	server   atomic.Pointer[Server]
}

// accept accepts clients until the socket is closed. Handlers are counted.
func (s *socket) accept(ctx context.Context, handlers *sync.WaitGroup, rooms *rooms) {
	var retry backoff
	for {
		conn, err := s.listener.AcceptTCP()
		switch {
		case err == nil:
			retry.reset()
			server := s.server.Load()
			handlers.Go(func() { server.serve(ctx, conn, rooms) })
		case errors.Is(err, net.ErrClosed):
			return
		default:
			s.pause(ctx, &retry, err)
		}
	}
}

// pause waits out an accept error: most often descriptors have run out, and the next client waits in the kernel's queue.
func (s *socket) pause(ctx context.Context, retry *backoff, err error) {
	delay := retry.next()
	if delay == firstDelay {
		server := s.server.Load()
		server.Log.Warn("cannot accept connections for now", "listener", server.Name, "error", err)
	}
	select {
	case <-ctx.Done():
	case <-time.After(delay):
	}
}

const (
	firstDelay = 5 * time.Millisecond
	maxDelay   = time.Second
)

type backoff struct{ delay time.Duration }

func (b *backoff) next() time.Duration {
	b.delay = min(max(2*b.delay, firstDelay), maxDelay)
	return b.delay
}

func (b *backoff) reset() { b.delay = 0 }
