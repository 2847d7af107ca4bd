package relay

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"jackfield"
)

// Counters count the bytes of one session that one side sent and the other side's connection took. They may be read at
// any time, while Join runs and after. The zero value is ready.
type Counters struct {
	fromClient, fromService atomic.Int64
}

// Transfer returns the bytes so far.
func (c *Counters) Transfer() jackfield.Transfer {
	return jackfield.Transfer{FromClient: c.fromClient.Load(), FromService: c.fromService.Load()}
}

// Options change how a session may end. The zero value cuts nothing.
type Options struct {
	// Idle is how long no byte may move in either direction; 0 means for ever. The cut comes at most a quarter late. On
	// Linux, bytes count as moving while a slow reader's TCP takes them from the kernel's queue; as it does so in steps,
	// the time should be minutes rather than seconds.
	Idle time.Duration

	// Program says that the service is a program of the server's own, on a Unix socket: it ends by exiting. After the end of
	// its answer, that it takes no more is no reset; what the client still sends is dropped.
	Program bool
}

// Join passes bytes between client and service until both directions have ended, one connection is broken, or ctx is
// done; it returns why. It uses the caller's goroutine and one more; a third only while last bytes settle.
//
// Join owns both streams: when it returns they are closed, no goroutine is left, and live is final. They come without
// deadlines; a deadline of ctx is also set on them. A stream that has a method NetConn owns the connection that it
// returns. A stream is reset by its method SetLinger(0), or that of its NetConn, before Close; without one, by Close.
// A stream reads io.EOF only for an end in order; any other error means that its connection broke.
func Join(ctx context.Context, client, service jackfield.Stream, live *Counters, o Options) jackfield.End {
	s := &session{
		ctx:     ctx,
		live:    live,
		client:  newPeer(client, "client", jackfield.EndClientReset),
		service: newPeer(service, "service", jackfield.EndServiceReset),
		over:    make(chan struct{}),
	}
	s.service.program = o.Program
	if ctx.Err() != nil {
		s.cancelled()
		return s.end
	}
	if deadline, ok := ctx.Deadline(); ok {
		_ = client.SetDeadline(deadline) // where it cannot be set, the cancellation alone cuts
		_ = service.SetDeadline(deadline)
	}
	defer s.guard(o.Idle)()
	defer s.watchStall(s.service)()

	var back sync.WaitGroup
	back.Go(func() { s.pass(s.service, s.client, &live.fromService) })
	s.pass(s.client, s.service, &live.fromClient)
	back.Wait()
	s.settling.Wait()
	return s.end
}

// A carrier is a stream that shares its connection with others.
type carrier interface {
	AfterStall(func()) (stop func() bool)
}

// watchStall has the session cut when a stream that shares its connection with others was closed because what it brought was
// not taken. It is what the other side does not take, so it is that side's fault, and its end. The function returned ends the
// watch.
func (s *session) watchStall(p *peer) (release func()) {
	carried, ok := p.stream.(carrier)
	if !ok {
		return func() {}
	}
	s.other(p).limitUnsent()
	var running sync.WaitGroup
	running.Add(1)
	stop := carried.AfterStall(func() {
		defer running.Done()
		s.cut(jackfield.End{Cause: jackfield.EndStalled})
	})
	return func() {
		if stop() {
			running.Done()
		}
		running.Wait()
	}
}

// guard has the session cut when its context is done or nothing moves for the idle time, if that is not 0. The function
// returned ends the guard; no goroutine of it is left then.
func (s *session) guard(idle time.Duration) (release func()) {
	var running sync.WaitGroup
	running.Add(1)
	stop := context.AfterFunc(s.ctx, func() {
		defer running.Done()
		s.cancelled()
	})
	stopIdle := func() {}
	if idle > 0 {
		stopIdle = s.cutIdle(idle)
	}
	return func() {
		if stop() {
			running.Done()
		}
		running.Wait()
		stopIdle()
	}
}
