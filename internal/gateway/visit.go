package gateway

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"jackfield"
)

// A Visit is one connection on its way through the pipeline. It is used by one goroutine.
type Visit struct {
	gateway  *Gateway
	listener *Listener
	ctx      context.Context
	record   jackfield.Record
	decided  [2]bool  // whether the global and the listener's ACL decided by address alone
	leaves   []func() // gates to leave, in the order of entering
}

// Admit begins the pipeline: what needs only the address, then the global, listener and source limits. The caller calls
// Leave when the connection is done with. ctx bounds the whole visit and what comes of it.
func (g *Gateway) Admit(ctx context.Context, l *Listener, source, local netip.AddrPort) (*Visit, error) {
	v := g.visit(ctx, l, source, local)
	if err := v.admit(); err != nil {
		err = v.Refuse(err)
		v.Leave()
		return nil, err
	}
	return v, nil
}

func unmap(a netip.AddrPort) netip.AddrPort {
	return netip.AddrPortFrom(a.Addr().Unmap(), a.Port())
}

// Step 1.
func (v *Visit) admit() error {
	if err := v.screen(); err != nil {
		return err
	}
	for _, level := range v.outerLevels() {
		if err := v.enter(level.Limit); err != nil {
			return err
		}
	}
	return nil
}

func (v *Visit) outerLevels() [2]*Level { return [2]*Level{&v.gateway.Global, &v.listener.Level} }

// ID is the request's short id.
func (v *Visit) ID() string { return v.record.ID }

// Identify tells the pipeline who asks. Without it, nobody in particular does.
func (v *Visit) Identify(who jackfield.Identity) { v.record.Identity = who }

// Open takes the visit through the checks to an open session with the service called name. The session takes client over;
// after a refusal it is still the caller's.
func (v *Visit) Open(name string, client jackfield.Stream) (*Session, error) {
	session, err := v.open(name, client)
	if err != nil {
		return nil, v.Refuse(err)
	}
	return session, nil
}

// Steps 3 to 10. A name that cannot be one reads like one that does not exist.
func (v *Visit) open(name string, client jackfield.Stream) (*Session, error) {
	parsed, invalid := jackfield.ParseName(name)
	v.record.Service = parsed
	if err := v.checkOuterACLs(); err != nil {
		return nil, err
	}
	service := v.listener.Service(parsed)
	if service == nil {
		return nil, jackfield.Refuse(jackfield.NotFound, notFound, invalid)
	}
	if err := v.checkServiceACLs(service); err != nil {
		return nil, err
	}
	for _, level := range service.Levels {
		if err := v.enter(level.Limit); err != nil {
			return nil, err
		}
	}
	if err := v.enter(service.Lease); err != nil {
		return nil, err
	}
	session := v.register(service, client)
	if err := v.start(session); err != nil {
		session.abandon()
		return nil, err
	}
	return session, nil
}

// Step 3: the rest of both ACLs.
func (v *Visit) checkOuterACLs() error {
	for i, level := range v.outerLevels() {
		if v.decided[i] {
			continue
		}
		if err := v.ask(v.ctx, level.ACL); err != nil {
			return err
		}
		v.decided[i] = true
	}
	return nil
}

// Step 5.
func (v *Visit) checkServiceACLs(service *Service) error {
	for _, level := range service.Levels {
		if err := v.ask(v.ctx, level.ACL); err != nil {
			return hidden{jackfield.AsError(err)}
		}
	}
	return nil
}

// Steps 9 and 10, with the cause looked at last.
func (v *Visit) start(s *Session) error {
	if err := v.askMappers(s); err != nil {
		return err
	}
	if err := s.open(); err != nil {
		return err
	}
	if err := context.Cause(s.ctx); err != nil {
		return endedBefore(err)
	}
	return v.gateway.Recorder.Opened(&v.record)
}

func (v *Visit) askMappers(s *Session) error {
	for _, level := range v.outerLevels() {
		if err := v.askMapper(s, level.Mapper); err != nil {
			return err
		}
	}
	for _, level := range s.service.Levels {
		if err := v.askMapper(s, level.Mapper); err != nil {
			return err
		}
	}
	return nil
}

// askMapper asks one mapper, which may take a while, and holds the session to its terms.
func (v *Visit) askMapper(s *Session, p jackfield.Policy) error {
	if p == nil {
		return nil
	}
	defer s.watchClient()()
	decision := p.Decide(s.ctx, &v.record.Request)
	if err := context.Cause(s.ctx); err != nil {
		return endedBefore(err)
	}
	s.hold(decision.Terms)
	v.record.Notes = append(v.record.Notes, notes(decision)...)
	return v.note(decision)
}

// notes are what the audit says of a policy's terms.
func notes(d jackfield.Decision) (list []string) {
	if d.Terms.Note != "" {
		list = append(list, d.By+": "+d.Terms.Note)
	}
	if d.Terms.MaxDuration > 0 {
		list = append(list, fmt.Sprintf("%s: at most %v", d.By, d.Terms.MaxDuration))
	}
	if d.Terms.IdleTimeout > 0 {
		list = append(list, fmt.Sprintf("%s: at most %v idle", d.By, d.Terms.IdleTimeout))
	}
	return list
}

func endedBefore(cause error) error {
	return jackfield.Refuse(jackfield.Unavailable, "the session was ended before it began", cause)
}

// Allows asks the rules whether they would let in a session that runs, be it of another generation. Where they would not,
// the error says who decided.
func (g *Gateway) Allows(ctx context.Context, l *Listener, running jackfield.Request) error {
	v := &Visit{gateway: g, listener: l, ctx: ctx}
	v.record.Request = running
	if err := v.checkOuterACLs(); err != nil {
		return err
	}
	service := l.Service(running.Service)
	if service == nil {
		return errNotPublished
	}
	return v.checkServiceACLs(service)
}

var errNotPublished = errors.New("the listener does not publish the service any more")

// ask puts the request to a policy and turns a denial into a refusal.
func (v *Visit) ask(ctx context.Context, p jackfield.Policy) error {
	if p == nil {
		return nil
	}
	return v.note(p.Decide(ctx, &v.record.Request))
}

func (v *Visit) note(d jackfield.Decision) error {
	if d.By != "" {
		v.record.By = append(v.record.By, d.By)
	}
	if d.Allow {
		return nil
	}
	refusal := jackfield.Refuse(jackfield.Denied, cmp.Or(d.Message, "access denied"), errors.New(d.Reason))
	refusal.By, refusal.Alarm = d.By, d.Failed
	return refusal
}

func (v *Visit) enter(gate jackfield.Gate) error {
	if gate == nil {
		return nil
	}
	leave, err := gate.Enter(v.ctx, &v.record.Request)
	if err != nil {
		return err
	}
	v.leaves = append(v.leaves, leave)
	return nil
}

// Leave gives back every place that the visit took. It is called last; calling it again does nothing.
func (v *Visit) Leave() {
	for _, leave := range slices.Backward(v.leaves) {
		leave()
	}
	v.leaves = nil
}
