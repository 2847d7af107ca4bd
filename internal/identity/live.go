package identity

import (
	"context"
)

// liveContexts are the contexts of callers, by the user's name. The directory's lock guards them.
type liveContexts map[string]map[*liveContext]struct{}

type liveContext struct {
	caller *Caller
	end    context.CancelCauseFunc
}

// Context returns a context that ends when the caller is none any more: the token was revoked or has expired, the user was removed
// or disabled, is no admin any more, or has joined or left a group. Its cause, ErrRevoked or ErrExpired, says which.
// It is to be cancelled when the call is over.
func (c *Caller) Context(parent context.Context) (context.Context, context.CancelFunc) {
	ctx, end := context.WithCancelCause(parent)
	stop := func() {}
	if !c.Expires.IsZero() {
		ctx, stop = context.WithDeadlineCause(ctx, c.Expires, c.expired())
	}
	l := &liveContext{caller: c, end: end}
	c.directory.enter(l)
	context.AfterFunc(ctx, func() { c.directory.leave(l) })
	return ctx, func() {
		end(context.Canceled)
		stop()
	}
}

func (c *Caller) expired() *ending {
	if c.TokenID == "" {
		return certificateExpired
	}
	return tokenExpired
}

func (d *Directory) enter(l *liveContext) {
	d.mu.Lock()
	defer d.mu.Unlock()
	name := l.caller.Identity.User
	if d.live[name] == nil {
		d.live[name] = make(map[*liveContext]struct{})
	}
	d.live[name][l] = struct{}{}
	d.live.check(d, name)
}

func (d *Directory) leave(l *liveContext) {
	d.mu.Lock()
	defer d.mu.Unlock()
	name := l.caller.Identity.User
	delete(d.live[name], l)
	if len(d.live[name]) == 0 {
		delete(d.live, name)
	}
}

// check ends the contexts of those of a user's callers who are none any more.
func (contexts liveContexts) check(d *Directory, name string) {
	for l := range contexts[name] {
		if why := d.ending(l.caller); why != nil {
			l.end(why)
		}
	}
}
