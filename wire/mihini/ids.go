package mihini

import (
	"slices"
	"time"
)

// restTime is how long a freed id rests at most. It counts only where nothing has proved before that the id is quiet.
const restTime = time.Second

// enough is how many ids should be quiet: with fewer, the link asks the device for a proof.
const enough = 32

// An allocator gives out stream ids on the server's side. It is not safe for concurrent use.
//
// A device answers each DATA for an id that is not open with a CLOSE of its own. So after the CLOSEs of both sides, more
// may be on their way, and one of them would end the id's next stream. Therefore a freed id rests until it is proved
// quiet: until the device has reacted to something that was sent after the id had been freed. (A link keeps order.)
// Such a thing is the CONNECT of a later stream, or a probe: DATA for a quiet id, which the device answers with CLOSE.
type allocator struct {
	quiet   []uint8   // may be given out; least recently freed first
	resting []resting // least recently freed first
	stamp   uint64    // counts what happens here: the order of things

	probing bool // an answer to probe is awaited
	probe   probe
}

type probe struct {
	id    uint8
	stamp uint64 // 0 until it is sent
}

type resting struct {
	id    uint8
	stamp uint64
	since time.Time
}

// newAllocator has all ids quiet. As in the original server, 1 comes first and 0 last.
func newAllocator() *allocator {
	a := &allocator{}
	for i := range MaxStreams {
		a.quiet = append(a.quiet, uint8(i+1))
	}
	return a
}

// take gives out an id. It is false if none is quiet; see rests.
func (a *allocator) take(now time.Time) (id uint8, ok bool) {
	a.wake(now)
	if len(a.quiet) == 0 || a.spared() {
		return 0, false
	}
	id, a.quiet = a.quiet[0], a.quiet[1:]
	return id, true
}

// spared reports whether the last quiet id is kept for a probe.
func (a *allocator) spared() bool { return len(a.quiet) == 1 && len(a.resting) > 0 && !a.probing }

// rests reports whether an id will be quiet in time without a stream's end, at the latest after wait.
func (a *allocator) rests(now time.Time) (wait time.Duration, ok bool) {
	if len(a.resting) == 0 {
		return 0, false
	}
	return a.resting[0].since.Add(restTime).Sub(now), true
}

// free takes an id back, after the CLOSEs of both sides.
func (a *allocator) free(id uint8, now time.Time) {
	a.resting = append(a.resting, resting{id, a.mark(), now})
}

// giveBack takes an id back of which the device has never heard.
func (a *allocator) giveBack(id uint8) { a.quiet = append(a.quiet, id) }

// mark returns a stamp for what is about to be sent.
func (a *allocator) mark() uint64 {
	a.stamp++
	return a.stamp
}

// proved notes that the device has reacted to what was sent at stamp: what was freed before is quiet.
func (a *allocator) proved(stamp uint64) {
	n := 0
	for n < len(a.resting) && a.resting[n].stamp < stamp {
		a.quiet = append(a.quiet, a.resting[n].id)
		n++
	}
	a.resting = slices.Delete(a.resting, 0, n)
}

// wake ends the rest of what has rested for restTime.
func (a *allocator) wake(now time.Time) {
	n := 0
	for n < len(a.resting) && now.Sub(a.resting[n].since) >= restTime {
		a.quiet = append(a.quiet, a.resting[n].id)
		n++
	}
	a.resting = slices.Delete(a.resting, 0, n)
}

// wanted reports whether a probe is worth its frames.
func (a *allocator) wanted() bool { return len(a.quiet) < enough && len(a.resting) > 0 }

// startProbe takes a quiet id to be probed; false if there is none, or a probe is under way. The id stays taken until
// the answer has come, for ever if need be. The probe gets its stamp when it is sent.
func (a *allocator) startProbe() (id uint8, ok bool) {
	if a.probing || len(a.quiet) == 0 {
		return 0, false
	}
	a.probing, a.probe = true, probe{id: a.quiet[0]}
	a.quiet = a.quiet[1:]
	return a.probe.id, true
}

// answered notes a CLOSE for an id without a stream, and reports whether it answers the probe.
func (a *allocator) answered(id uint8) bool {
	if !a.probing || id != a.probe.id || a.probe.stamp == 0 {
		return false
	}
	a.probing = false
	a.proved(a.probe.stamp)
	a.quiet = append(a.quiet, id)
	return true
}
