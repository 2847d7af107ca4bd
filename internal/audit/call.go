package audit

import (
	"net/http"
	"time"

	"jackfield"
)

// A Call is what is kept of one call of the API. Of a stream of events it is kept when the stream ends.
type Call struct {
	jackfield.Request // ID, Listener, Protocol, Source, Local and Identity

	Token    string // the id of the token that proved the identity, never the token; empty without one
	Method   string
	Path     string // of the operation, such as "/api/v1/users/{name}": nothing in it is the caller's
	Status   int    // of the answer
	Duration time.Duration
	Target   string // what the call was about: "user ada", "session k3vq-2-7"; empty where it is about nothing in particular
	Details  string // for a failure: the true reason, which the caller may not have been told
	End      string // of a stream of events: why it ended; else empty
}

// failed says whether the call was refused or did not succeed. Such calls are cheap to make.
func (c *Call) failed() bool { return c.Status >= 400 }

// A callLine is one call in the file.
type callLine struct {
	Event           string          `json:"event"`
	Time            string          `json:"time"` // of the answer's end
	ID              string          `json:"id"`
	Listener        string          `json:"listener"`
	Protocol        string          `json:"protocol"`
	Source          string          `json:"source"`
	Local           string          `json:"local"`
	User            string          `json:"user"`
	Groups          []string        `json:"groups"`
	Proof           jackfield.Proof `json:"proof"`
	Token           string          `json:"token"`
	Method          string          `json:"method"`
	Path            string          `json:"path"`
	Status          int             `json:"status"`
	DurationSeconds float64         `json:"duration_seconds"`
	Target          string          `json:"target"`
	Details         string          `json:"details"`
	End             string          `json:"end"`
}

func newCallLine(c *Call) *callLine {
	return &callLine{
		Event:           eventCall,
		ID:              c.ID,
		Listener:        c.Listener,
		Protocol:        c.Protocol,
		Source:          address(c.Source),
		Local:           address(c.Local),
		User:            clip(c.Identity.User),
		Groups:          list(c.Identity.Groups),
		Proof:           c.Identity.Proof,
		Token:           clip(c.Token),
		Method:          clip(c.Method),
		Path:            clip(c.Path),
		Status:          c.Status,
		DurationSeconds: c.Duration.Seconds(),
		Target:          clip(c.Target),
		Details:         clip(c.Details),
		End:             clip(c.End),
	}
}

// looks says whether the call changed nothing and was over at once. Such calls, too, could drive everything else out of the log.
func (c *Call) looks() bool {
	return (c.Method == http.MethodGet || c.Method == http.MethodHead) && !c.failed() && c.End == ""
}

// Called writes the record of a call, or keeps it until it can be written. Calls with a status of 400 and more are recorded
// up to the rate of refusals, and calls that only look up to a rate of their own; both are counted beyond it. The call is valid
// during Called only.
func (l *Log) Called(c *Call) {
	switch {
	case c.failed() && !l.allow(l.refusals), c.looks() && !l.allow(l.reads):
		return
	}
	l.keep(newCallLine(c), c.failed())
}
