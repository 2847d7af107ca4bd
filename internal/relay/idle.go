package relay

import (
	"sync"
	"time"

	"jackfield"
)

// An idleCut ends a session when no byte moved for a time. It looks four times in that time.
type idleCut struct {
	session *session
	limit   time.Duration

	mu       sync.Mutex // guards all below
	timer    *time.Timer
	last     activity
	since    time.Time // when last was first seen
	released bool
	running  sync.WaitGroup // one while the timer is armed or check runs
}

// activity changes whenever bytes move.
type activity struct {
	transfer            jackfield.Transfer
	toClient, toService int // bytes that the kernel still holds
}

// cutIdle cuts s when nothing moves for the limit. The function returned ends that; no goroutine is left then.
func (s *session) cutIdle(limit time.Duration) (release func()) {
	c := &idleCut{session: s, limit: limit, last: s.activity(), since: time.Now()}
	c.running.Add(1)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.timer = time.AfterFunc(c.period(), c.check)
	return c.release
}

func (c *idleCut) period() time.Duration { return max(c.limit/4, time.Millisecond) }

func (c *idleCut) check() {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	if seen := c.session.activity(); seen != c.last {
		c.last, c.since = seen, now
	}
	if now.Sub(c.since) >= c.limit {
		c.session.cut(jackfield.End{Cause: jackfield.EndIdle})
	} else if !c.released {
		c.timer.Reset(c.period())
		return
	}
	c.running.Done()
}

func (c *idleCut) release() {
	c.mu.Lock()
	c.released = true
	if c.timer.Stop() {
		c.running.Done()
	}
	c.mu.Unlock()
	c.running.Wait()
}

func (s *session) activity() activity {
	return activity{s.live.Transfer(), s.client.queued(), s.service.queued()}
}
