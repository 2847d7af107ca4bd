package api

import (
	"sync"

	"jackfield"
)

// places count what costs so much that only so many may be at it at once.
type places struct {
	max, maxEach int // in all, and of one user

	mu   sync.Mutex
	all  int
	each map[string]int // by user
}

// enter takes a place, which leave gives back, if there is one.
func (p *places) enter(who jackfield.Identity) (leave func(), entered bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.all >= p.max || p.each[who.User] >= p.maxEach {
		return nil, false
	}
	if p.each == nil {
		p.each = make(map[string]int)
	}
	p.all++
	p.each[who.User]++
	return func() { p.leave(who.User) }, true
}

func (p *places) leave(user string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.all--
	if p.each[user]--; p.each[user] == 0 {
		delete(p.each, user)
	}
}
