package journal

import (
	"bytes"
	"encoding/json"
	"net/netip"
	"strings"
	"time"

	"jackfield"
)

// A record of the journal is lines of text: first a header, which is a JSON object, then lines of the audit as the file has
// them. Every line ends with a newline.

// A header says which server wrote a record.
type header struct {
	Server string `json:"server"`
}

func (h header) encode() []byte {
	text, _ := json.Marshal(h) // which cannot fail
	return append(text, '\n')
}

// decode returns the lines of a record without their newlines. They are parts of data.
func decode(data []byte) (server string, lines [][]byte, ok bool) {
	first, rest, whole := bytes.Cut(data, []byte("\n"))
	var h header
	if !whole || json.Unmarshal(first, &h) != nil || h.Server == "" {
		return "", nil, false
	}
	for line := range bytes.Lines(rest) {
		lines = append(lines, bytes.TrimSuffix(line, []byte("\n")))
	}
	return h.Server, lines, len(lines) <= maxIndex
}

// A Record is one line of the audit and where it stands.
type Record struct {
	Cursor Cursor
	Server string          // the name of the server that wrote it
	Line   json.RawMessage // a JSON object as the file has it, without the newline

	// What the line says, as far as it is there.
	Event    string
	Time     time.Time
	ID       string
	Listener string
	Source   netip.AddrPort
	User     string // proven
	Claimed  string // of a call by nobody: whose name was given, such as at a login with a wrong password
	Service  jackfield.Name
	End      string
}

// parseLine fills in what a line says. Every line has an event and a time.
func parseLine(line []byte) (r Record, ok bool) {
	var fields struct {
		Event, ID, Listener, Source, User, Target, End string
		Proof                                          jackfield.Proof
		Time                                           time.Time
		Service                                        jackfield.Name
	}
	if json.Unmarshal(line, &fields) != nil || fields.Event == "" || fields.Time.IsZero() {
		return Record{}, false
	}
	source, err := netip.ParseAddrPort(fields.Source)
	if err != nil {
		source = netip.AddrPort{} // of a line that has none
	}
	claimed := ""
	if fields.User == "" && fields.Proof == jackfield.ProofNone {
		if name, is := strings.CutPrefix(fields.Target, "user "); is { // which is said of a login only, before it is known who calls
			claimed = name
		}
	}
	return Record{
		Line:     line,
		Event:    fields.Event,
		Time:     fields.Time,
		ID:       fields.ID,
		Listener: fields.Listener,
		Source:   source,
		User:     fields.User,
		Claimed:  claimed,
		Service:  fields.Service,
		End:      fields.End,
	}, true
}
