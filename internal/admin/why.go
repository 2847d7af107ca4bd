package admin

import (
	"encoding/json"
	"io"
	"net/http"
	"net/netip"
	"time"

	"jackfield"
)

// A Question is a request that nobody makes: what would become of it?
type Question struct {
	Service  string     `json:"service"`            // full name
	Listener string     `json:"listener,omitempty"` // may be empty where only one publishes the service
	Source   netip.Addr `json:"source"`             // the client
	User     string     `json:"user,omitempty"`     // empty: nobody in particular
	Groups   []string   `json:"groups,omitempty"`
	Time     time.Time  `json:"time"`    // when the connection would come; zero: now
	Mappers  bool       `json:"mappers"` // ask the mappers, too: this starts programs
}

// An Explanation is what would become of a request, and why.
type Explanation struct {
	Listener string  `json:"listener"`
	Service  string  `json:"service"`
	Verdict  string  `json:"verdict"` // "allowed", "denied", or "undecided": a mapper would be asked
	Checks   []Check `json:"checks"`  // in the order in which they are made
}

// A Check is one question of the pipeline and its answer.
type Check struct {
	Step    int    `json:"step"`
	Place   string `json:"place"`   // such as "global", "listener.mux", "service.web"
	Subject string `json:"subject"` // "address", "rules", "limits", "name", "lease" or "mapper"
	Outcome string `json:"outcome"` // "passed", "failed", "undecided", "not configured", "not asked" or "not known"
	By      string `json:"by"`      // who decided, such as "acl.global[2]"; may be empty
	Reason  string `json:"reason"`
}

// maxQuestion is the length in bytes of the longest question.
const maxQuestion = 64 << 10

func (a *api) why(r *http.Request) (any, error) {
	var q Question
	decoder := json.NewDecoder(io.LimitReader(r.Body, maxQuestion))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&q); err != nil {
		return nil, jackfield.Refuse(jackfield.Invalid, "the question cannot be read: "+err.Error(), nil)
	}
	if !q.Source.IsValid() {
		return nil, jackfield.Refuse(jackfield.Invalid, "the question needs the client's address", nil)
	}
	return a.control.Why(r.Context(), q)
}
