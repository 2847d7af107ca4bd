package https

import (
	"bytes"
	"net/http"
	"slices"
	"strings"
	"sync"
)

// A namedFields finds the fields that Connection names in the heads of a service's answers (RFC 9110, section 7.6.1), as they
// pass by: net/http forgets them where "close" is among them.
type namedFields struct {
	*farEnd

	mu     sync.Mutex // guards what follows
	over   bool       // the final head has passed
	begun  bool       // a head has, with its status
	hint   bool       // it is informational
	listed bool       // the last field is Connection, and may be continued
	line   []byte
	size   int // of the heads
	names  []string
}

// Read implements net.Conn.
func (f *namedFields) Read(p []byte) (int, error) {
	n, err := f.farEnd.Read(p)
	f.mu.Lock()
	defer f.mu.Unlock()
	for rest := p[:n]; len(rest) > 0 && !f.over; {
		piece, more, ended := bytes.Cut(rest, []byte("\n"))
		f.size += len(piece)
		if f.size > serviceHeaderBytes+maxHintBytes { // net/http reads no more, either
			f.over, f.line = true, nil
			break
		}
		f.line = append(f.line, piece...)
		if ended {
			f.endLine(strings.TrimSuffix(string(f.line), "\r"))
			f.line = f.line[:0]
		}
		rest = more
	}
	return n, err
}

func (f *namedFields) endLine(line string) {
	name, value, _ := strings.Cut(line, ":")
	switch {
	case !f.begun:
		words := strings.Fields(line)
		f.begun, f.listed = true, false
		f.hint = len(words) > 1 && strings.HasPrefix(words[1], "1") && words[1] != "101"
		return
	case line == "":
		f.begun, f.over = false, !f.hint
		return
	case line[0] == ' ' || line[0] == '\t':
		value = line
	default:
		f.listed = strings.EqualFold(name, "Connection")
	}
	if f.listed {
		f.names = append(f.names, strings.Split(value, ",")...)
	}
}

// strip takes out the fields that were named.
func (f *namedFields) strip(header http.Header) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, name := range f.names {
		name = http.CanonicalHeaderKey(strings.TrimSpace(name))
		if !slices.Contains(hopFields, name) { // with 101, some have to stay
			header.Del(name)
		}
	}
}
