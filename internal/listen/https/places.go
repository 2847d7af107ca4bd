package https

import (
	"net/netip"
	"sync"

	"jackfield"
)

// Places counts the connections of a listener. It outlives generations, each of which has limits of its own. Its zero value
// is ready.
type Places struct {
	mu          sync.Mutex // guards what follows
	connections count
	handshakes  count
}

type count struct {
	all  int
	each map[netip.Prefix]int // by source; none that has nothing
}

// connect takes a place for a connection, or says why there is none. leave may be called more than once.
func (p *Places) connect(source netip.Addr, l *Limits) (leave func(), reason string) {
	return p.enter(&p.connections, source, l.Connections, l.PerSource, ReasonConnections)
}

func (p *Places) shakeHands(source netip.Addr, l *Limits) (leave func(), reason string) {
	return p.enter(&p.handshakes, source, l.Handshakes, l.HandshakesPerSource, ReasonHandshakes)
}

func (p *Places) enter(c *count, source netip.Addr, most, mostEach int, full string) (leave func(), reason string) {
	key := jackfield.SourceOf(source)
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case c.all >= most:
		return nil, full
	case c.each[key] >= mostEach:
		return nil, ReasonSource
	}
	if c.each == nil {
		c.each = make(map[netip.Prefix]int)
	}
	c.all++
	c.each[key]++
	return sync.OnceFunc(func() { p.leave(c, key) }), ""
}

func (p *Places) leave(c *count, key netip.Prefix) {
	p.mu.Lock()
	defer p.mu.Unlock()
	c.all--
	c.each[key]--
	if c.each[key] == 0 {
		delete(c.each, key)
	}
}
