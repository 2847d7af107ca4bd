// Package mapper is the policy in which an external program decides, asked by the Mapper protocol (see wire/mapper).
//
//	m, err := mapper.New(mapper.Options{Name: "corp", Path: "/usr/local/lib/jackfield/authz", Timeout: 5 * time.Second}, log)
//	m.Start()
//	defer m.Close()
//	decision := m.Decide(ctx, request)
//
// Its rules are these:
//   - Access is allowed only if the program answers "success:" and then exits with status 0, within the timeout. Everything
//     else denies, and the reason says why.
//   - Questions wait in one queue. A process takes from it, when it stands ready, as many as Options.Batch allows: those go to
//     one process only because it was not ready earlier, so no question waits for others to come.
//   - There are never more than Options.MaxProcesses processes. A question that finds none free waits, within its timeout.
//   - A process that has not ended when its time is over loses its standard input and output at once, and a second later its
//     process group is killed, unless Options.LeaveHung is set. What a process leaves behind in its group ends with it.
//   - What the program says is untrusted: it is cleaned and cut short before it reaches a log, the audit or a client.
//
// Which entries are sent is in entries.go, and what returned ones can do in decision.go. The package does not decide by
// itself, and knows nothing of configuration files.
package mapper

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"jackfield"
	"jackfield/internal/resolve"
	"jackfield/wire/mapper"
)

// Options say which program decides and how it is run.
type Options struct {
	Name string // decisions are signed "mapper." and the name

	Path    string // absolute, or a plain name that is looked up in PATH
	Args    []string
	User    string            // a name or a number; empty: the server's own
	Env     map[string]string // added to what every program gets
	EnvKeep []string          // names of variables that are taken from the server's environment

	Nice         int           // added to the server's niceness; ignored where the system has none
	Timeout      time.Duration // of a question. Zero: DefaultTimeout
	MaxProcesses int           // Zero: DefaultMaxProcesses
	Batch        int           // questions per process. Zero: 1
	Warm         int           // processes that are started ahead
	LeaveHung    bool          // a process that has not ended in time is left alone, as the protocol's document has it
	Cache        time.Duration // how long an answer holds. Zero: it does not

	ShowReason bool // a client that is denied is told what the program said
	Resolve    bool // send the client's host name where it has one

	// What the program may ask for in the entries that it returns: "max-seconds", "idle-seconds", "audit-note".
	Accept []string

	// MaxConnections denies where the returned number-of-connections is not below it. Zero: nothing is compared.
	MaxConnections int
}

// The defaults of Options.
const (
	DefaultTimeout      = 5 * time.Second
	DefaultMaxProcesses = 16
)

// A Mapper is the policy of one program. It is safe for concurrent use.
type Mapper struct {
	given    Options // as New got them
	options  Options // with defaults
	launch   launch
	log      *slog.Logger
	resolver resolve.Resolver
	answers  *cache // nil: nothing is kept

	observe func(Outcome, time.Duration) // told of every decision

	mu       sync.Mutex
	queue    []*question // guarded by mu, as is all below; the oldest first
	ready    []*process  // greeted, and waiting for questions
	all      map[*process]bool
	starting int // processes that have not greeted yet
	retired  bool
	closed   bool
	failures int         // starts ahead that failed in a row
	pausing  bool        // after such a failure
	retry    *time.Timer // ends the pause
	ended    sync.Cond   // on mu: a process has ended
}

var _ jackfield.Policy = (*Mapper)(nil)

// New makes the policy. It starts nothing; the error says all that keeps the program from being started.
func New(o Options, log *slog.Logger) (*Mapper, error) {
	given := o
	o.Timeout = cmp.Or(o.Timeout, DefaultTimeout)
	o.MaxProcesses = cmp.Or(o.MaxProcesses, DefaultMaxProcesses)
	o.Batch = cmp.Or(o.Batch, 1)
	o.Warm = min(o.Warm, o.MaxProcesses)
	launch, err := newLaunch(o)
	if err != nil {
		return nil, err
	}
	m := &Mapper{
		given:   given,
		options: o,
		launch:  launch,
		log:     log.With("mapper", o.Name),
		all:     make(map[*process]bool),
		observe: func(Outcome, time.Duration) {},
	}
	m.ended.L = &m.mu
	if o.Resolve {
		m.resolver = resolve.System
	}
	if o.Cache > 0 {
		m.answers = newCache(o.Cache)
	}
	return m, nil
}

// An Outcome is a decision in one word.
type Outcome string

// The outcomes.
const (
	Allowed Outcome = "allowed"
	Denied  Outcome = "denied"
	Failed  Outcome = "failed" // the program did not answer as it must
)

// Decide asks the program.
func (m *Mapper) Decide(ctx context.Context, r *jackfield.Request) jackfield.Decision {
	begin := time.Now()
	ctx, cancel := context.WithTimeoutCause(ctx, m.options.Timeout, errTimeout{"no answer", m.options.Timeout})
	defer cancel()
	answer := m.answer(ctx, r)
	decision, outcome := m.decide(answer)
	m.observe(outcome, time.Since(begin))
	if decision.Allow {
		m.log.Debug("mapper allowed", "id", r.ID, "service", string(r.Service), "note", decision.Terms.Note)
	}
	return decision
}

// An errTimeout is that of a question without an answer.
type errTimeout struct {
	missing string
	after   time.Duration
}

func (e errTimeout) Error() string { return fmt.Sprintf("%s within %v", e.missing, e.after) }

// answer is the program's word on a request, be it from the cache.
func (m *Mapper) answer(ctx context.Context, r *jackfield.Request) mapper.Answer {
	entries := m.entries(ctx, r)
	for _, e := range entries {
		if err := mapper.CheckEntry(e); err != nil {
			return mapper.Answer{Err: err}
		}
	}
	if m.answers == nil {
		return m.ask(ctx, entries)
	}
	key := cacheKey(entries)
	if answer, ok := m.answers.get(key, time.Now()); ok {
		return answer
	}
	answer := m.ask(ctx, entries)
	if answer.Err == nil {
		m.answers.put(key, answer, time.Now())
	}
	return answer
}

// ask waits for an answer as long as ctx allows.
func (m *Mapper) ask(ctx context.Context, entries mapper.Entries) mapper.Answer {
	q := &question{entries: entries, at: time.Now(), answer: make(chan mapper.Answer, 1)}
	if err := m.enqueue(q); err != nil {
		return mapper.Answer{Err: err}
	}
	return m.wait(ctx, q)
}

// wait waits for the answer to a question that is in the queue, or was.
func (m *Mapper) wait(ctx context.Context, q *question) mapper.Answer {
	select {
	case answer := <-q.answer:
		return answer
	case <-ctx.Done():
	}
	missing := m.withdraw(q)
	select {
	case answer := <-q.answer: // it came at the same moment
		return answer
	default:
	}
	err := context.Cause(ctx)
	if errors.As(err, new(errTimeout)) {
		err = errTimeout{missing, m.options.Timeout}
	}
	return mapper.Answer{Err: err}
}

var errClosed = errors.New("the server is stopping")
