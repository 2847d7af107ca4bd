package mapper

import "fmt"

// requests puts together what a server asks, line by line. It does no I/O.
type requests struct {
	open    *Request // is being read; nil between two requests
	first   bool     // a version was read
	ignored int      // lines
}

// An incoming request is whole, or malformed and to be refused without a look at what it asks. Its id is as received,
// with its blank if it had one, for that is how it is sent back.
type incoming struct {
	Request
	malformed string // says why; empty if the request is whole
}

// take takes a line and returns the request that it completes or breaks, if it does. An error ends the exchange.
func (r *requests) take(line string) (*incoming, error) {
	name, separator, data := split(line)
	switch {
	case separator == '=':
		return r.takeEntry(Entry{name, data})
	case separator == ':' && name == request:
		return r.begin(data)
	case separator == ':' && name == endOfRequest && r.open != nil:
		return r.end(data), nil
	case separator == ':' && name == version && !r.first:
		r.first = true
		return nil, checkVersion(data)
	}
	return nil, r.ignore()
}

func (r *requests) ignore() error {
	if r.ignored++; r.ignored > MaxIgnored {
		return fmt.Errorf("%w lines without a meaning: %d are allowed", ErrTooMany, MaxIgnored)
	}
	return nil
}

func (r *requests) takeEntry(entry Entry) (*incoming, error) {
	switch {
	case r.open == nil || entry.Key == "":
		return nil, r.ignore()
	case len(r.open.Entries) == MaxEntries:
		return r.broken("too many entries"), nil
	}
	r.open.Entries = append(r.open.Entries, entry)
	return nil, nil
}

func (r *requests) begin(id string) (*incoming, error) {
	if err := CheckID(trimBlank(id)); err != nil {
		return nil, fmt.Errorf("%w: its id %s cannot be sent back", ErrBadRequest, quote(id))
	}
	unfinished := r.broken("another request began within this one")
	r.open = &Request{ID: id}
	return unfinished, nil
}

func (r *requests) end(id string) *incoming {
	if trimBlank(id) != trimBlank(r.open.ID) {
		return r.broken("it ended with another id")
	}
	whole := &incoming{Request: *r.open}
	r.open = nil
	return whole
}

// broken gives up the open request, if there is one.
func (r *requests) broken(why string) *incoming {
	if r.open == nil {
		return nil
	}
	id := r.open.ID
	r.open = nil
	return &incoming{Request: Request{ID: id}, malformed: "malformed request: " + why}
}
