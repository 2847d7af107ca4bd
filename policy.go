package jackfield

import (
	"context"
	"time"
)

// A Decision is the answer of a policy: allow or deny, who decided, and why.
type Decision struct {
	Allow   bool
	By      string // such as "acl.global[2]"
	Reason  string // for log and audit
	Message string // of a denial, for the person; empty: no more than that access is denied
	Failed  bool   // it is a denial because the policy could not decide: somebody should look
	Terms   Terms
}

// Terms are what a policy holds a session to that it allows. Zero values ask for nothing.
type Terms struct {
	MaxDuration time.Duration
	IdleTimeout time.Duration
	Note        string // for the audit
}

// A Policy decides whether a request may go on. It fails closed: what it cannot find out, it denies.
type Policy interface {
	Decide(ctx context.Context, r *Request) Decision
}

// An EarlyPolicy can sometimes decide from the client's address alone, before a byte was read. Where it cannot,
// decided is false: an entry that needs the identity, the name or the time is undecided, never "no match".
type EarlyPolicy interface {
	Policy
	DecideEarly(r *Request) (d Decision, decided bool)
}

// A Gate counts who is inside: limits and leases. Every successful Enter is followed by exactly one call of leave.
type Gate interface {
	// Enter lets the request in or returns a refusal, at once: it never waits for a place.
	Enter(ctx context.Context, r *Request) (leave func(), err error)
}

// An OpenGate is a Gate into which one can look: Check returns what Enter would refuse the request with, and takes no place.
type OpenGate interface {
	Gate
	Check(r *Request) error
}
