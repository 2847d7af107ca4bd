package mapper

import (
	"errors"
	"slices"
	"time"

	"jackfield/wire/mapper"
)

// A question waits for an answer.
type question struct {
	entries mapper.Entries
	at      time.Time          // since when it waits
	asked   *process           // nil while it waits; guarded by Mapper.mu
	answer  chan mapper.Answer // has room for the one answer, so nobody waits for who has gone
}

// How long a start ahead waits after one that failed: doubled with each that follows, up to the last.
const (
	firstRetry = time.Second
	lastRetry  = time.Minute
)

// maxQueue is how many questions may wait. More than that come only where the program is far too slow.
const maxQueue = 10_000

var errQueueFull = errors.New("too many questions wait for the program")

// Start starts the processes that are started ahead.
func (m *Mapper) Start() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.startAhead()
}

// Retire keeps nothing ready any more. Questions are still answered.
func (m *Mapper) Retire() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.retire()
}

func (m *Mapper) retire() {
	m.retired = true
	if m.retry != nil {
		m.retry.Stop()
	}
	for _, p := range m.ready {
		p.dismiss()
	}
	m.ready = nil
}

// Close denies all questions, ends all processes, and returns when they have ended; with Options.LeaveHung, those that do not
// end are left.
func (m *Mapper) Close() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.closed = true
	m.retire()
	m.fail(len(m.queue), errClosed)
	for p := range m.all {
		p.expire()
	}
	for len(m.all) > 0 && !m.options.LeaveHung {
		m.ended.Wait()
	}
}

// idle says whether nothing is asked and no process lives.
func (m *Mapper) idle() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.queue) == 0 && len(m.all) == 0
}

func (m *Mapper) enqueue(q *question) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case m.closed:
		return errClosed
	case len(m.queue) >= maxQueue:
		return errQueueFull
	}
	m.queue = append(m.queue, q)
	m.dispatch()
	return nil
}

// withdraw takes back a question that nobody waits for any more, and says what it waited for. One that a process has stays
// with it.
func (m *Mapper) withdraw(q *question) (missing string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	i := slices.Index(m.queue, q)
	switch {
	case i < 0 && q.asked == nil: // nothing: it was denied meanwhile
		return ""
	case i < 0:
		return q.asked.missing()
	}
	m.queue = slices.Delete(m.queue, i, i+1)
	if m.starting > 0 {
		return "no version"
	}
	return "no process was free"
}

// dispatch gives questions to processes that stand ready, and starts as many as the others need. It is called with mu held,
// as is all below that is not said to run by itself.
func (m *Mapper) dispatch() {
	for len(m.queue) > 0 && len(m.ready) > 0 {
		p := m.ready[0]
		m.ready = m.ready[1:]
		questions := m.take(m.options.Batch)
		for _, q := range questions {
			q.asked = p
		}
		go m.question(p, questions)
	}
	for m.starting*m.options.Batch < len(m.queue) && len(m.all) < m.options.MaxProcesses {
		m.start(true)
	}
}

// startAhead sees to it that as many processes stand ready as are wanted.
func (m *Mapper) startAhead() {
	for !m.retired && !m.pausing && len(m.ready)+m.starting < m.options.Warm && len(m.all) < m.options.MaxProcesses {
		if !m.start(false) {
			return
		}
	}
}

// take takes the oldest questions.
func (m *Mapper) take(most int) []*question {
	n := min(most, len(m.queue))
	taken := slices.Clone(m.queue[:n])
	m.queue = slices.Delete(m.queue, 0, n)
	return taken
}

// fail answers the oldest questions with an error.
func (m *Mapper) fail(most int, err error) {
	for _, q := range m.take(most) {
		q.answer <- mapper.Answer{Err: err}
	}
}

// start starts a process, because of questions or ahead of them. It reports false if it cannot be started: questions for it
// were denied then.
func (m *Mapper) start(asked bool) bool {
	p, err := m.launch.start(m.options, nil, m.log)
	if err != nil {
		m.startFailed(asked, time.Now(), err)
		return false
	}
	m.all[p] = true
	m.starting++
	go m.await(p, asked)
	go m.watch(p)
	return true
}

// startFailed denies the questions that a process, which was started at that time, would have been given, or tries again later.
// Those that came after its start have others.
func (m *Mapper) startFailed(asked bool, began time.Time, err error) {
	if asked || m.closed {
		older := 0
		for older < min(len(m.queue), m.options.Batch) && !m.queue[older].at.After(began) {
			older++
		}
		m.fail(older, err)
		return
	}
	if !m.pausing { // one line for those that were started together
		m.log.Warn("mapper program cannot be started ahead", "error", err)
	}
	m.retryLater()
}

func (m *Mapper) retryLater() {
	if m.retired || m.pausing {
		return
	}
	m.pausing = true
	pause := min(firstRetry<<min(m.failures, 16), lastRetry)
	m.failures++
	m.retry = time.AfterFunc(pause, func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		m.pausing = false
		m.startAhead()
	})
}

// await runs by itself until a process has greeted.
func (m *Mapper) await(p *process, asked bool) {
	err := p.greet(m.options.Timeout)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.starting--
	if err != nil {
		m.startFailed(asked, p.began, err)
		m.dispatch() // what it did not take
		return
	}
	m.failures = 0
	m.ready = append(m.ready, p)
	m.dispatch()
	if len(m.ready) > 0 && (m.retired || len(m.ready) > m.options.Warm) { // who asked has gone
		last := len(m.ready) - 1
		m.ready[last].dismiss()
		m.ready = m.ready[:last]
	}
}

// question runs by itself until a process has answered, and exited.
func (m *Mapper) question(p *process, questions []*question) {
	asked := make([]mapper.Entries, len(questions))
	for i, q := range questions {
		asked[i] = q.entries
	}
	for i, answer := range p.ask(m.options.Timeout, asked) {
		questions[i].answer <- answer
	}
	if odd := p.conversation.Oddities(); len(odd) > 0 {
		m.log.Warn("mapper program said what means nothing", "pid", p.pid(), "oddities", odd)
	}
}

// watch runs by itself until a process has ended.
func (m *Mapper) watch(p *process) {
	<-p.exited
	p.unlimit()
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.all, p)
	m.ended.Broadcast()
	if i := slices.Index(m.ready, p); i >= 0 {
		m.ready = slices.Delete(m.ready, i, i+1)
		p.dismiss()
		m.log.Warn("mapper program ended before it was asked", "pid", p.pid(), "error", p.failure)
		m.retryLater()
	} else if !m.closed {
		m.startAhead()
	}
	m.dispatch()
}
