package link

// MaxReady is how many connections of an agent are kept ready at most. Far fewer are asked for ahead; the others have carried a stream,
// and cost nothing any more.
const (
	MaxReady = 64
	maxAhead = 16
)

// patience is how many ticks a connection may be of no use, and for how many without a stream as many are wanted as before; then it is
// half of that.
const patience = 6

// A pool has the data connections of an agent that no stream has now. As many are asked for ahead as streams have found none lately;
// none when no stream was opened for long. Others are kept while they are used. It is guarded by its link's lock.
type pool struct {
	ready    []*dataConn
	fetching int // connections that were asked for, to be kept
	wanted   int // how many should be ready, which is at most maxAhead
	quiet    int // ticks without a stream

	ticks int
	spare int // how many were ready all the time since the pool was looked through
}

// take takes a connection that is still good, nil if there is none, and those that are not any more. Each call counts as a stream.
func (p *pool) take() (good *dataConn, stale []*dataConn) {
	p.quiet = 0
	for len(p.ready) > 0 {
		last := len(p.ready) - 1
		conn := p.ready[last]
		p.ready = p.ready[:last]
		p.spare = min(p.spare, last)
		if !isStale(conn) {
			return conn, stale
		}
		stale = append(stale, conn)
	}
	p.wanted = min(p.wanted+1, maxAhead)
	return nil, stale
}

// missing returns how many connections are to be asked for now, and counts them as asked for. They are asked for several at a time:
// those in use may come back.
func (p *pool) missing() int {
	coming := len(p.ready) + p.fetching
	if coming >= p.wanted-p.wanted/4 {
		return 0
	}
	n := p.wanted - coming
	p.fetching += n
	return n
}

// arrived is the end of a wait for a connection that was asked for ahead.
func (p *pool) arrived() { p.fetching = max(0, p.fetching-1) }

// add keeps a connection, unless there are enough or no stream was opened for long.
func (p *pool) add(conn *dataConn) bool {
	if p.wanted == 0 || len(p.ready) >= MaxReady {
		return false
	}
	p.ready = append(p.ready, conn)
	return true
}

// tick returns what is not needed any more: of those that were of no use, as many as are not wanted.
func (p *pool) tick() (idle []*dataConn) {
	if p.quiet++; p.quiet%patience == 0 {
		p.wanted /= 2
	}
	if p.ticks++; p.ticks%patience != 0 {
		return nil
	}
	if extra := p.spare - p.wanted; extra > 0 {
		idle = append(idle, p.ready[:extra]...)
		p.ready = append([]*dataConn(nil), p.ready[extra:]...)
	}
	p.spare = len(p.ready)
	return idle
}

// clear returns all of them.
func (p *pool) clear() (idle []*dataConn) {
	idle, p.ready, p.wanted, p.spare = p.ready, nil, 0, 0
	return idle
}

func closeAll(conns []*dataConn) {
	for _, c := range conns {
		c.finish()
	}
}
