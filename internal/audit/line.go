package audit

import (
	"net/netip"
	"strings"

	"jackfield"
)

// timeFormat is RFC 3339 in UTC with milliseconds.
const timeFormat = "2006-01-02T15:04:05.000Z07:00"

// maxText is the length in bytes above which a text that others wrote is cut short.
const maxText = 4 << 10

// The words of the field "event".
const (
	eventOpen   = "open"
	eventClose  = "close"
	eventRefuse = "refuse"
	eventLost   = "lost"

	eventSuppressed = "suppressed"
)

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
	End              string  `json:"end"` // one of the jackfield.End… words, or what cut the session
	EndDetails       string  `json:"end_details"`
}

// A missingLine stands where records are missing: closes and refusals because the log could not be written for too long
// (lost), or refusals because there were too many (suppressed).
type missingLine struct {
	Event   string `json:"event"` // lost or suppressed
	Time    string `json:"time"`  // when writing worked again, or when refusals were fewer again
	Records int    `json:"records"`
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
