package https

import (
	"errors"
	"net/textproto"
)

// The most that a service may say before its answer, in all.
const (
	maxHints     = 16
	maxHintBytes = 64 << 10
)

// hints are the informational answers (RFC 9110, section 15.2) of a service.
type hints struct {
	n, size int
	writing bool // one, to a client that may not take it
}

func (h *hints) tooMany() bool { return h.n > maxHints || h.size > maxHintBytes }

var errHints = errors.New("the service has said too much before its answer")

// hint passes one on.
func (x *exchange) hint(status int) {
	header := x.Header()
	size := 0
	for name, values := range header {
		for _, value := range values {
			size += len(name) + len(value)
		}
	}
	if !x.beginHint(size) {
		return
	}
	x.named.strip(header)
	stripHops(header)
	stripProxy(header)
	x.ResponseWriter.WriteHeader(status)
	x.mu.Lock()
	defer x.mu.Unlock()
	x.hints.writing = false
}

func (x *exchange) beginHint(size int) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.hints.n++
	x.hints.size += size
	if x.cut || x.hints.tooMany() || !x.request.ProtoAtLeast(1, 1) {
		return false
	}
	x.hints.writing = true
	return true
}

// hinted is asked by net/http, after hint, whether to go on.
func (x *exchange) hinted(int, textproto.MIMEHeader) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.hints.tooMany() {
		return errHints
	}
	return nil
}
