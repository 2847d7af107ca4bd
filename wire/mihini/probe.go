package mihini

import "time"

// A probe is a frame that changes nothing, yet has to be answered with CLOSE: for a device, DATA of one byte for an id
// that is not open; for a server, DATA without bytes for an id that it has never used (for one that it has used and
// closed, the original server would drop frames that it has not yet read).

// sendProbe has a probe sent, if there is an id for it. The caller holds mu.
func (l *link) sendProbe() bool {
	id, ok := l.pickProbe()
	if ok {
		l.slots[id].probe = true
		l.stats.Probes++
		l.schedule(id)
	}
	return ok
}

func (l *link) pickProbe() (id uint8, ok bool) {
	if l.ids != nil {
		return l.ids.startProbe()
	}
	for i := range MaxStreams {
		id := uint8(-i) // 0 is the last one that the original server uses
		if !l.used[id] {
			return id, true
		}
	}
	return 0, false
}

// appendProbe builds the probe and notes that it is on its way.
func (l *link) appendProbe(buf []byte, id uint8) []byte {
	if l.ids == nil {
		return appendHeader(buf, 0, Data, id)
	}
	l.ids.probe.stamp = l.ids.mark()
	return append(appendHeader(buf, 1, Data, id), 0)
}

// A watch ends a link whose peer is silent; see [Options].
type watch struct {
	link   *link
	timer  *time.Timer
	seen   uint64
	probed bool
}

// watch starts the watch, if one is wanted; the function returned stops it.
func (l *link) watch() (stop func()) {
	if l.o.ProbeInterval <= 0 {
		return func() {}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	w := &watch{link: l}
	w.timer = time.AfterFunc(l.o.ProbeInterval, w.tick)
	return func() { w.timer.Stop() }
}

func (w *watch) tick() {
	l := w.link
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.err != nil:
		return
	case l.waiting || l.seen != w.seen:
		w.seen, w.probed = l.seen, false
	case w.probed:
		l.fail(ErrSilent)
		return
	default:
		w.probed = l.sendProbe() || l.ids != nil && l.ids.probing
	}
	w.timer.Reset(l.o.ProbeInterval)
}
