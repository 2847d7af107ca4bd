package https

import (
	"net/http"
	"strconv"
)

// An ending keeps back the end of an answer whose length the client is told: its last byte, or its head if it has no body. Where
// the length is not told, net/http writes the end, when all else is over.
type ending struct {
	rest int64  // bytes of the body that are still to come; below 0: the length is not told
	last []byte // the byte that is kept
}

// endingOf is that of an answer whose head is there.
func endingOf(r *http.Request, status int, header http.Header) ending {
	if r.Method == http.MethodHead || status == http.StatusNoContent || status == http.StatusNotModified {
		return ending{}
	}
	length, err := strconv.ParseInt(header.Get("Content-Length"), 10, 64)
	if err != nil {
		length = -1
	}
	return ending{rest: length}
}

// isHead says that the end is that of the head.
func (e *ending) isHead() bool { return e.rest == 0 && e.last == nil }

// keep takes the end of what is to be written, and returns the rest.
func (e *ending) keep(p []byte) []byte {
	switch n := int64(len(p)); {
	case e.rest <= 0:
	case n < e.rest:
		e.rest -= n
	default:
		p, e.last, e.rest = p[:e.rest-1], []byte{p[e.rest-1]}, 0
	}
	return p
}
