package audit

import "bytes"

// A Head is how a line begins. It is enough to tell lines apart, and is found without decoding the whole line. Its fields are
// parts of the line.
type Head struct {
	Event []byte
	Time  []byte // the times of lines can be compared as bytes
	ID    []byte // empty in lines that are about no request
}

// IsOf says whether the line is about a request to the server of that name, in any of its runs.
func (h Head) IsOf(server string) bool {
	return len(h.ID) > len(server) && h.ID[len(server)] == '-' && string(h.ID[:len(server)]) == server
}

// ParseHead reads the beginning of a line as this package writes it, and says whether it is one.
func ParseHead(line []byte) (h Head, ok bool) {
	rest := line
	if h.Event, rest, ok = takeField(rest, `{"event":"`); !ok {
		return Head{}, false
	}
	if h.Time, rest, ok = takeField(rest, `,"time":"`); !ok {
		return Head{}, false
	}
	h.ID, _, _ = takeField(rest, `,"id":"`)
	return h, true
}

// takeField wants no escapes in the value: events, times and ids have none.
func takeField(line []byte, name string) (value, rest []byte, ok bool) {
	if len(line) < len(name) || string(line[:len(name)]) != name {
		return nil, line, false
	}
	value, rest, ok = bytes.Cut(line[len(name):], []byte(`"`))
	if !ok || bytes.IndexByte(value, '\\') >= 0 {
		return nil, line, false
	}
	return value, rest, true
}
