package link

// How many connections of an agent are kept ready at most: such as were asked for ahead, and such as have carried a stream, which
// cost nothing any more.
const (
	maxAhead = 16
	MaxReady = 64
)

// patience is for how many ticks without a stream the pool stays as it is; then it halves.
const patience = 6

// A pool has the data connections of an agent that no stream has now. It is as large as streams were opened lately, and empty
// when there were none for long. It is guarded by its link's lock.
type pool struct {
	ready    []*dataConn
	fetching int // connections that were asked for, to be kept
	wanted   int // how many should be ready, which is at most maxAhead
	quiet    int // ticks without a stream
}

// take takes a connection that is still good, nil if there is none, and those that are not any more. Each call counts as a stream.
func (p *pool) take() (good *dataConn, stale []*dataConn) {
	p.wanted = min(p.wanted+1, maxAhead)
	p.quiet = 0
	for len(p.ready) > 0 {
		last := len(p.ready) - 1
		conn := p.ready[last]
		p.ready = p.ready[:last]
		if !isStale(conn) {
			return conn, stale
		}
		stale = append(stale, conn)
	}
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

// fetched keeps a connection that was asked for, unless there are enough.
func (p *pool) fetched(conn *dataConn) bool {
	p.fetching = max(0, p.fetching-1)
	return p.add(conn, p.wanted)
}

// late keeps a connection that came too late for its stream, unless there are enough.
func (p *pool) late(conn *dataConn) bool { return p.add(conn, p.wanted) }

// back keeps a connection that has carried a stream, unless there are enough.
func (p *pool) back(conn *dataConn) bool {
	if p.wanted == 0 {
		return false
	}
	return p.add(conn, MaxReady)
}

func (p *pool) add(conn *dataConn, most int) bool {
	if len(p.ready) >= most {
		return false
	}
	p.ready = append(p.ready, conn)
	return true
}

// tick returns what is not needed any more.
func (p *pool) tick() (idle []*dataConn) {
	if p.quiet++; p.quiet%patience != 0 {
		return nil
	}
	p.wanted /= 2
	if extra := len(p.ready) - p.wanted; extra > 0 {
		idle = append(idle, p.ready[:extra]...)
		p.ready = append([]*dataConn(nil), p.ready[extra:]...)
	}
	return idle
}

// clear returns all of them.
func (p *pool) clear() (idle []*dataConn) {
	idle, p.ready, p.wanted = p.ready, nil, 0
	return idle
}

func closeAll(conns []*dataConn) {
	for _, c := range conns {
		c.finish()
	}
}
