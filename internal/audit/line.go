package audit

import (
	"encoding/json"
	"net/netip"
	"strings"

	"jackfield"
)

// TimeFormat is how lines write their times, in UTC: RFC 3339 with milliseconds. As text they are in order.
const TimeFormat = "2006-01-02T15:04:05.000Z07:00"

// maxText is the length in bytes above which a text that others wrote is cut short.
const maxText = 4 << 10

// EventLost is the event of a line that says that others are missing.
const EventLost = "lost"

// The other words of the field "event".
const (
	eventOpen   = "open"
	eventClose  = "close"
	eventRefuse = "refuse"
	eventCall   = "call"

	eventSuppressed = "suppressed"
)

// Events are the words of the field "event".
var Events = []string{eventOpen, eventClose, eventRefuse, eventCall, EventLost, eventSuppressed}

// A line is one record in the file. The names and the order of the fields are fixed; new ones are added at the end of
// their group. A field that applies to the event is always there; where nothing is known it is empty.
type line struct {
	Event    string          `json:"event"` // open, close or refuse
	Time     string          `json:"time"`  // of the event, not of the connection
	ID       string          `json:"id"`    // the same for the open and the close of a session
	Listener string          `json:"listener"`
	Protocol string          `json:"protocol"`
	Source   string          `json:"source"` // address:port of the client
	Local    string          `json:"local"`  // address:port that the client connected to
	User     string          `json:"user"`
	Groups   []string        `json:"groups"`
	Proof    jackfield.Proof `json:"proof"`
	Service  jackfield.Name  `json:"service"`
	Route    string          `json:"route"`
	By       []string        `json:"by"`              // the policies that let the request in, or the one that refused it
	Notes    []string        `json:"notes,omitempty"` // what policies that let the request in had to say
	*refusal
	*ending
}

// An entry is a line, or a callLine: it gets its time when it is written.
type entry interface{ setTime(string) }

func (l *line) setTime(time string)     { l.Time = time }
func (l *callLine) setTime(time string) { l.Time = time }

// A refusal is what only a line "refuse" has.
type refusal struct {
	Kind    jackfield.Kind `json:"kind"` // the true one
	Details string         `json:"details"`
}

// An ending is what only a line "close" has.
type ending struct {
	DurationSeconds  float64 `json:"duration_seconds"`
	BytesFromClient  int64   `json:"bytes_from_client"`
	BytesFromService int64   `json:"bytes_from_service"`
	End              string  `json:"end"` // one of the jackfield.End… words, EndLost, or what cut the session
	EndDetails       string  `json:"end_details"`
}

// A missingLine stands where records are missing: closes and refusals because the log could not be written for too long
// (lost), or refusals and calls that only looked because there were too many (suppressed).
type missingLine struct {
	Event   string `json:"event"` // lost or suppressed
	Time    string `json:"time"`  // when writing worked again, or when refusals were fewer again
	Records int    `json:"records"`
}

// LostLine says that this many records are missing where it stands. It ends with a newline.
func LostLine(records int) []byte { return missing(EventLost, records) }

func missing(event string, records int) []byte {
	line, _ := json.Marshal(missingLine{Event: event, Time: timestamp(), Records: records}) // which cannot fail
	return append(line, '\n')
}

func newLine(event string, r *jackfield.Record) *line {
	return &line{
		Event:    event,
		ID:       r.ID,
		Listener: r.Listener,
		Protocol: r.Protocol,
		Source:   address(r.Source),
		Local:    address(r.Local),
		User:     clip(r.Identity.User),
		Groups:   list(r.Identity.Groups),
		Proof:    r.Identity.Proof,
		Service:  jackfield.Name(clip(string(r.Service))),
		Route:    r.Route,
		By:       list(r.By),
		Notes:    clipAll(r.Notes),
	}
}

func address(a netip.AddrPort) string {
	if !a.IsValid() {
		return ""
	}
	return a.String()
}

// list makes an empty list [], not null.
func list(s []string) []string {
	if s == nil {
		return []string{}
	}
	return s
}

func clipAll(list []string) []string {
	var clipped []string
	for _, s := range list {
		clipped = append(clipped, clip(s))
	}
	return clipped
}

func clip(s string) string {
	if len(s) <= maxText {
		return s
	}
	return strings.ToValidUTF8(s[:maxText], "") + "…"
}
