package gateway

import (
	"context"
	"errors"
	"net"
	"sync"
	"time"

	"jackfield"
	"jackfield/internal/relay"
)

// A Session is one stream between a client and a service, from open to close. Its opener calls either Serve or Abort, once.
type Session struct {
	visit   *Visit
	service *Service
	ctx     context.Context
	cancel  context.CancelCauseFunc
	client  jackfield.Stream

	idleTimeout time.Duration // 0 means never
	maxDuration time.Duration // 0 means for ever

	stream jackfield.Stream // the opened route; or
	live   relay.Counters

	mu    sync.Mutex      // guards taken: the table of live sessions asks it for its counters
	taken jackfield.Taken // the client's socket in the route's hands
}

// Step 8: from here on the session can be seen and cut.
func (v *Visit) register(service *Service, client jackfield.Stream) *Session {
	s := &Session{
		visit:       v,
		service:     service,
		client:      client,
		idleTimeout: service.IdleTimeout,
		maxDuration: service.MaxDuration,
	}
	s.ctx, s.cancel = context.WithCancelCause(v.ctx)
	describeRoute(&v.record.Request, service.Route)
	v.gateway.Sessions.add(s)
	return s
}

func describeRoute(r *jackfield.Request, route jackfield.Route) {
	r.Route = route.String()
	if dialler, ok := route.(jackfield.Dialler); ok {
		r.Destinations = dialler.Destinations()
	}
}

// hold holds the session to a policy's terms, where they are stricter than what holds already.
func (s *Session) hold(t jackfield.Terms) {
	s.idleTimeout = stricter(s.idleTimeout, t.IdleTimeout)
	s.maxDuration = stricter(s.maxDuration, t.MaxDuration)
}

// stricter is the shorter one of two limits of which 0 is none.
func stricter(a, b time.Duration) time.Duration {
	if a == 0 || b == 0 {
		return a + b
	}
	return min(a, b)
}

// Step 10.
func (s *Session) open() error {
	defer s.watchClient()()
	taker, client := s.socketTaker()
	if taker == nil {
		return s.openRoute()
	}
	taken, err := taker.TakeSocket(s.ctx, &s.visit.record.Request, client)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.taken = taken
	return err
}

// openRoute opens the route in a goroutine of its own: connecting takes a deep stack, and ours, which would grow with it,
// lasts as long as the session. It is a quarter of what an idle session costs.
func (s *Session) openRoute() error {
	opened := make(chan error)
	go func() {
		stream, err := s.service.Route.Open(s.ctx, &s.visit.record.Request)
		s.stream = stream
		opened <- err
	}()
	return <-opened
}

// How often a client is looked at that waits for its route to open.
const lookTime = time.Second

var errClientGone = errors.New("the client's connection broke while the service was being reached")

// watchClient cancels the session when the client's connection breaks: one that is gone must not hold a place for as long
// as a dead service takes to not answer. (A client that has only ended its side is still there.) After stop it has no effect.
func (s *Session) watchClient() (stop func()) {
	var mu sync.Mutex // guards both
	var over bool
	var look *time.Timer
	mu.Lock()
	defer mu.Unlock()
	look = time.AfterFunc(lookTime, func() {
		mu.Lock()
		defer mu.Unlock()
		switch {
		case over:
		case relay.Broken(s.client):
			s.cancel(errClientGone)
		default:
			look.Reset(lookTime)
		}
	})
	return func() {
		mu.Lock()
		defer mu.Unlock()
		over = true
		look.Stop()
	}
}

// leavesSocket says whether the client's own socket may be handed to the route: nothing of ours then stands between the
// two, so nothing may be asked for that would have to watch the bytes or cut a lease.
func (s *Session) leavesSocket() bool {
	return s.service.Name.Station() == "" && s.service.Lease == nil && s.idleTimeout == 0 && s.maxDuration == 0
}

func (s *Session) socketTaker() (jackfield.SocketTaker, *net.TCPConn) {
	taker, able := s.service.Route.(jackfield.SocketTaker)
	client, bare := s.client.(*net.TCPConn)
	if !able || !bare || !s.leavesSocket() {
		return nil, nil
	}
	return taker, client
}

// Serve joins the client and the service until the session has ended, and returns why it did. It closes the client's
// connection, and with it the visit's part in the audit is complete. Step 11.
func (s *Session) Serve() jackfield.End {
	ctx, stop := s.lifetime()
	defer stop()
	var end jackfield.End
	switch stream := s.stream.(type) {
	case nil:
		end = s.serveTaken(ctx)
	case jackfield.Program:
		end = s.join(ctx, stream.Bare(), relay.Options{Program: true})
		end.Details = join(end.Details, stream.Wait())
	case jackfield.Linked:
		end = s.joinLinked(ctx, stream)
	default:
		end = s.join(ctx, stream, relay.Options{})
	}
	if s.stream != nil {
		s.stream.Close() // what carries it was closed, or reset, by the relay
	}
	s.close(end)
	return end
}

// joinLinked joins a stream that ends with its link, at the latest.
func (s *Session) joinLinked(ctx context.Context, stream jackfield.Linked) jackfield.End {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	link := stream.Link()
	defer context.AfterFunc(link, func() { cancel(context.Cause(link)) })()
	end := s.join(ctx, stream.Bare(), relay.Options{})
	if end.Cause == jackfield.EndServiceReset && link.Err() != nil {
		end.Cause = context.Cause(link).Error() // the far end of the link was faster than the cut here
	}
	return end
}

func (s *Session) join(ctx context.Context, stream jackfield.Stream, o relay.Options) jackfield.End {
	o.Idle = s.idleTimeout
	return relay.Join(ctx, s.client, stream, &s.live, o)
}

func join(a, b string) string {
	if a == "" || b == "" {
		return a + b
	}
	return a + "; " + b
}

// Answers says whether the service itself sends the answer of the listener's protocol to the client. The listener then
// sends none.
func (s *Session) Answers() bool { return s.service.Answers }

func (s *Session) lifetime() (context.Context, context.CancelFunc) {
	if s.maxDuration == 0 {
		return s.ctx, func() {}
	}
	return context.WithTimeout(s.ctx, s.maxDuration)
}

func (s *Session) serveTaken(ctx context.Context) jackfield.End {
	details, err := s.taken.Serve(ctx)
	cause := context.Cause(ctx)
	if cause != nil {
		relay.Reset(s.client)
	}
	s.client.Close()
	switch {
	case cause != nil:
		return jackfield.End{Cause: cause.Error(), Details: details}
	case err != nil:
		return jackfield.End{Cause: jackfield.EndClientReset, Details: err.Error()}
	}
	return jackfield.End{Cause: jackfield.EndFinished, Details: details}
}

// Abort ends a session whose client could not be told that it is open.
func (s *Session) Abort(why error) {
	relay.Reset(s.client)
	if s.stream != nil {
		relay.Reset(s.stream)
	}
	s.close(jackfield.End{Cause: jackfield.EndClientReset, Details: why.Error()})
}

func (s *Session) close(end jackfield.End) {
	s.leave()
	record := &s.visit.record
	record.Duration = time.Since(record.Time)
	record.Transfer = s.transfer()
	record.End = end
	s.visit.gateway.Recorder.Closed(record)
}

// abandon undoes register and open.
func (s *Session) abandon() {
	if s.stream != nil {
		relay.Reset(s.stream)
	}
	s.leave()
}

func (s *Session) leave() {
	if s.taken != nil {
		s.taken.Release()
	}
	s.visit.gateway.Sessions.remove(s)
	s.cancel(errEnded)
}

var errEnded = errors.New("session has ended")

func (s *Session) transfer() jackfield.Transfer {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.taken != nil {
		return s.taken.Transfer()
	}
	return s.live.Transfer()
}
