package identity

import (
	"container/list"
	"context"
	"errors"
	"fmt"
	"math"
	"net/netip"
	"sync"
	"time"

	"jackfield"
)

// maxComputations is how many passwords are hashed at once in the process.
const maxComputations = 2

// A throttle decides who may have a password hashed, and when.
//
// After a few wrong passwords, a (user, source) pair and a source wait before the next attempt: one second, then twice as long with
// each further failure. Attempts that come sooner cost nothing and count for nothing. A source is an IPv4 address or an IPv6 /64;
// what one source does makes no other wait. A source has one computation at a time, so that it leaves one to the others.
type throttle struct {
	places chan struct{} // one element for each computation that runs

	mu       sync.Mutex // guards what follows
	accounts *failures[account]
	sources  *failures[netip.Prefix]
	running  map[netip.Prefix]bool // sources that have a computation now
}

type account struct {
	user   string
	source netip.Prefix
}

var (
	perAccount = schedule{free: 3, longest: 15 * time.Minute}
	perSource  = schedule{free: 20, longest: 5 * time.Minute}
)

func newThrottle() *throttle {
	return &throttle{
		places:   make(chan struct{}, maxComputations),
		accounts: newFailures[account](perAccount),
		sources:  newFailures[netip.Prefix](perSource),
		running:  make(map[netip.Prefix]bool),
	}
}

// begin lets an attempt begin, or refuses it with kind Limited, at once. An attempt that began ends with a call of end.
func (t *throttle) begin(user string, from netip.Addr) (end func(success bool), err error) {
	source := jackfield.SourceOf(from)
	who := account{user, source}
	now := time.Now()

	t.mu.Lock()
	defer t.mu.Unlock()
	if wait := max(t.accounts.wait(who, now), t.sources.wait(source, now)); wait > 0 {
		return nil, limited("too many wrong passwords, try again later", wait, errSlowed)
	}
	if t.running[source] {
		return nil, limited("another login from this address is being checked, try again", time.Second, errRunning)
	}
	select {
	case t.places <- struct{}{}:
	default:
		return nil, limited("too many logins at once, try again", time.Second, errNoPlace)
	}
	t.running[source] = true
	return func(success bool) { t.end(who, success) }, nil
}

// wait is for those who may set passwords: it waits for a place.
func (t *throttle) wait(ctx context.Context) (leave func(), err error) {
	select {
	case t.places <- struct{}{}:
		return func() { <-t.places }, nil
	case <-ctx.Done():
		return nil, limited("too many logins at once, try again", time.Second, errNoPlace)
	}
}

func (t *throttle) end(who account, success bool) {
	now := time.Now()
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.running, who.source)
	<-t.places
	if success {
		t.accounts.forget(who) // not the source's: whoever has one password may still be guessing others
		return
	}
	t.accounts.add(who, now)
	t.sources.add(who.source, now)
}

// A schedule says how long to wait after so many failures.
type schedule struct {
	free    int           // failures that cost no delay
	longest time.Duration // one failure is forgiven for each such time without any: many people may share a source
}

func (s schedule) delay(count int) time.Duration {
	if count <= s.free {
		return 0
	}
	doubled := math.Ldexp(float64(time.Second), min(count-s.free-1, 30))
	return min(time.Duration(doubled), s.longest)
}

// What is remembered of failures.
const (
	maxFailures  = 1 << 16   // entries; when there are more, the oldest is forgotten
	forgiveAfter = time.Hour // since the last failure
)

// failures counts the failures of each K.
type failures[K comparable] struct {
	schedule schedule
	max      int
	known    map[K]*list.Element
	order    *list.List // of *failed[K], the one that failed longest ago first
}

type failed[K comparable] struct {
	key   K
	count int
	last  time.Time
}

func newFailures[K comparable](s schedule) *failures[K] {
	return &failures[K]{schedule: s, max: maxFailures, known: make(map[K]*list.Element), order: list.New()}
}

// wait says how long key has to wait yet.
func (f *failures[K]) wait(key K, now time.Time) time.Duration {
	e := f.known[key]
	if e == nil {
		return 0
	}
	entry := e.Value.(*failed[K])
	return max(0, entry.last.Add(f.schedule.delay(entry.count)).Sub(now))
}

func (f *failures[K]) add(key K, now time.Time) {
	for f.order.Len() > 0 && now.Sub(f.oldest().last) >= forgiveAfter {
		f.forget(f.oldest().key)
	}
	e := f.known[key]
	if e == nil {
		if f.order.Len() >= f.max {
			f.forget(f.oldest().key)
		}
		e = f.order.PushBack(&failed[K]{key: key})
		f.known[key] = e
	}
	f.order.MoveToBack(e)
	entry := e.Value.(*failed[K])
	forgiven := int(min(now.Sub(entry.last)/f.schedule.longest, maxFailures))
	entry.count = max(0, entry.count-forgiven) + 1
	entry.last = now
}

func (f *failures[K]) oldest() *failed[K] { return f.order.Front().Value.(*failed[K]) }

func (f *failures[K]) forget(key K) {
	if e := f.known[key]; e != nil {
		f.order.Remove(e)
		delete(f.known, key)
	}
}

var (
	errSlowed  = errors.New("the delay after wrong secrets is not over")
	errRunning = errors.New("a password from the same source is being hashed")
	errNoPlace = fmt.Errorf("%d passwords are being hashed already", maxComputations)
)

// later is the part of a refusal that says when to come again.
type later struct {
	error
	after time.Duration
}

func (l *later) Unwrap() error { return l.error }

func limited(message string, after time.Duration, details error) error {
	return jackfield.Refuse(jackfield.Limited, message, &later{details, after})
}

// RetryAfter says how long whoever got this refusal of a login has to wait; 0 if it does not say.
func RetryAfter(err error) time.Duration {
	var l *later
	if errors.As(err, &l) {
		return l.after
	}
	return 0
}
