package mihini

import "time"

// The bounds of what a device keeps of DATA that came before its CONNECT: bytes of an id, and the time.
const (
	MaxEarly  = 64 << 10
	EarlyTime = time.Second
)

// early keeps DATA for ids that have not been connected yet on this link. The original server starts to read a client
// before it sends CONNECT, so that what a client says at once may come too early.
type early struct {
	link *link
	kept [MaxStreams]*kept
}

type kept struct {
	queue queue
	timer *time.Timer
}

// keep reports whether it has kept a frame of DATA. The caller of the methods holds link.mu. A nil early keeps nothing.
func (e *early) keep(f Frame) bool {
	if e == nil || e.link.used[f.ID] {
		return false
	}
	k := e.kept[f.ID]
	if k == nil {
		k = &kept{}
		k.timer = time.AfterFunc(EarlyTime, func() { e.expire(f.ID, k) })
		e.kept[f.ID] = k
	}
	if k.queue.size+len(f.Payload) > MaxEarly || e.link.queued+len(f.Payload) > e.link.o.LinkQueue {
		e.drop(f.ID)
		return false
	}
	k.queue.write(f.Payload)
	e.link.queued += len(f.Payload)
	return true
}

// expire answers what has waited in vain.
func (e *early) expire(id uint8, k *kept) {
	e.link.mu.Lock()
	defer e.link.mu.Unlock()
	if e.kept[id] == k && e.link.err == nil {
		e.drop(id)
		e.link.stats.Strays++
		e.link.oweClose(id)
	}
}

func (e *early) drop(id uint8) {
	k := e.kept[id]
	k.timer.Stop()
	e.link.queued -= k.queue.clear()
	e.kept[id] = nil
}

// claim gives a new stream what was kept for it.
func (e *early) claim(s *Stream) {
	if e == nil || e.kept[s.id] == nil {
		return
	}
	k := e.kept[s.id]
	k.timer.Stop()
	s.in, s.received = k.queue, int64(k.queue.size)
	e.kept[s.id] = nil
}

// stop ends all timers. The caller does not hold link.mu.
func (e *early) stop() {
	if e == nil {
		return
	}
	e.link.mu.Lock()
	defer e.link.mu.Unlock()
	for id := range e.kept {
		if e.kept[id] != nil {
			e.drop(uint8(id))
		}
	}
}
