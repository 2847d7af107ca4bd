package access

import (
	"context"
	"fmt"

	"jackfield"
)

// An ACL is an ordered list of rules. It does not change and may be used by many goroutines at once.
type ACL struct {
	name  string
	rules []rule
}

var _ jackfield.EarlyPolicy = (*ACL)(nil)

// NewACL makes an ACL of rules, which it copies. The name says where they stand, such as "global", "listener.mux" or
// "service.console.fpga-1"; decisions are signed "acl.", the name, and the index of the rule counted from 0.
func NewACL(name string, rules []Rule) *ACL {
	a := &ACL{name: "acl." + name}
	for i, r := range rules {
		a.rules = append(a.rules, compile(r, fmt.Sprintf("%s[%d]", a.name, i)))
	}
	return a
}

// Decide returns the decision of the first rule that matches. Without rules it allows and By is empty: nobody decided.
func (a *ACL) Decide(_ context.Context, r *jackfield.Request) jackfield.Decision {
	for i := range a.rules {
		entry := &a.rules[i]
		matched, err := entry.matches(r)
		switch {
		case err != nil:
			reason := fmt.Sprintf("condition at %s failed: %v", entry.Where, err)
			return jackfield.Decision{By: entry.decision.By, Reason: reason}
		case matched:
			return entry.decision
		}
	}
	return a.otherwise()
}

// DecideEarly decides by the client's address where that is enough. A rule for another address is passed over; the first one
// for this address either decides or, where it asks for more, leaves the question open.
func (a *ACL) DecideEarly(r *jackfield.Request) (jackfield.Decision, bool) {
	for i := range a.rules {
		entry := &a.rules[i]
		if !entry.matchesAddress(r.Source.Addr()) {
			continue
		}
		if entry.needsMore() {
			return jackfield.Decision{}, false
		}
		return entry.decision, true
	}
	return a.otherwise(), true
}

// otherwise is the decision when no rule matched.
func (a *ACL) otherwise() jackfield.Decision {
	if len(a.rules) == 0 {
		return jackfield.Decision{Allow: true, Reason: "no rules"}
	}
	return jackfield.Decision{By: a.name + "[no match]", Reason: "no rule matches"}
}
