package gateway

import (
	"context"
	"net/netip"
	"time"

	"jackfield"
)

// Screen is the part of step 1 that needs only the address, for listeners whose connections are no sessions: those that carry
// calls of an API, or many sessions. It takes no place. A refusal has been logged and recorded.
func (g *Gateway) Screen(ctx context.Context, l *Listener, source, local netip.AddrPort) error {
	v := g.visit(ctx, l, source, local)
	if err := v.screen(); err != nil {
		return v.Refuse(err)
	}
	return nil
}

// MayCall asks the global and the listener's ACL about a call of the API, which names no service. A refusal has been logged and
// recorded.
func (g *Gateway) MayCall(ctx context.Context, l *Listener, source, local netip.AddrPort, who jackfield.Identity) error {
	v := g.visit(ctx, l, source, local)
	v.Identify(who)
	if err := v.checkOuterACLs(); err != nil {
		return v.Refuse(err)
	}
	return nil
}

// Visible returns the names of the services that somebody may use by the listener, sorted. It takes no place and asks no mapper.
func (g *Gateway) Visible(ctx context.Context, l *Listener, source netip.AddrPort, who jackfield.Identity) []jackfield.Name {
	v := &Visit{gateway: g, listener: l, ctx: ctx}
	v.record.Request = jackfield.Request{
		Time: time.Now(), Listener: l.Name, Protocol: l.Protocol, Source: unmap(source), Identity: who,
	}
	return v.Visible()
}

// visit begins a visit that has taken nothing.
func (g *Gateway) visit(ctx context.Context, l *Listener, source, local netip.AddrPort) *Visit {
	v := &Visit{gateway: g, listener: l, ctx: ctx}
	v.record.Request = jackfield.Request{
		ID:       g.Sessions.NewID(),
		Time:     time.Now(),
		Listener: l.Name,
		Protocol: l.Protocol,
		Source:   unmap(source),
		Local:    unmap(local),
		Identity: jackfield.Identity{Proof: jackfield.ProofNone},
	}
	return v
}

// screen asks the outer ACLs as far as the address decides.
func (v *Visit) screen() error {
	for i, level := range v.outerLevels() {
		early, ok := level.ACL.(jackfield.EarlyPolicy)
		if !ok {
			continue
		}
		decision, decided := early.DecideEarly(&v.record.Request)
		if !decided {
			continue
		}
		if err := v.note(decision); err != nil {
			return err
		}
		v.decided[i] = true
	}
	return nil
}
