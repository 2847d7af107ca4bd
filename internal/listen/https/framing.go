package https

import (
	"bytes"
	"errors"
	"strconv"
	"strings"
	"sync/atomic"

	"golang.org/x/net/http/httpguts"
)

// framing follows the requests of an HTTP/1 connection (RFC 9112) as they pass by, and finds those whose end two readers
// may see in different places: behind a proxy that reads them otherwise, what follows would be a smuggled request. It is
// stricter than net/http, which allows bare line feeds, folded lines, repeated lengths, and a length beside chunks.
//
// It does not read chunks: a request with chunks is the last one of its connection, for no other is counted.
type framing struct {
	max int // bytes of a header, as net/http has it

	part   part
	line   []byte // begun
	header int    // bytes of this request's so far
	body   int64  // bytes of it that are to come

	requests atomic.Int64 // whose header has passed

	request
}

// request is what matters in the header of the request that is passing.
type request struct {
	connect, http10        bool
	length, chunked, hosts int // how often
	size                   int64
}

type part int

const (
	startLine part = iota
	fields
	body
	rest // nothing that follows is looked at
)

var (
	errLineEnd = errors.New("a line does not end with CR LF")
	errControl = errors.New("a line has a control character")
	errStart   = errors.New("the request line is not a method, a target and HTTP/1.1 or HTTP/1.0, with a space between")
	errFolded  = errors.New("a header field is folded")
	errField   = errors.New("a header line is not a name, a colon and a value")
	errLength  = errors.New("Content-Length is not one number")
	errCoding  = errors.New("Transfer-Encoding is not just chunked")
	errBoth    = errors.New("Transfer-Encoding and Content-Length are both there")
	errOld     = errors.New("Transfer-Encoding with HTTP/1.0")
	errConnect = errors.New("CONNECT with a body")
	errHost    = errors.New("the request has no Host field, or several")
	errEmpty   = errors.New("too many empty lines before a request")
	errLong    = errors.New("the header is too long")
)

// Empty lines before a request are allowed, for old clients (RFC 9112, section 2.2): as many bytes as net/http skips.
const maxEmpty = 4

// slack is what net/http reads beyond its limit of a header, and a little more: it answers first.
const slack = 8 << 10

// scan takes the next bytes and returns how many of them may pass; all, unless there is an error.
func (f *framing) scan(p []byte) (int, error) {
	n := 0
	for n < len(p) {
		switch f.part {
		case rest:
			return len(p), nil
		case body:
			passing := int(min(int64(len(p)-n), f.body))
			n += passing
			if f.body -= int64(passing); f.body == 0 {
				f.begin()
			}
		default:
			piece, _, ended := bytes.Cut(p[n:], []byte("\n"))
			if f.header+len(piece) > f.max+slack {
				return n, errLong
			}
			f.header += len(piece)
			f.line = append(f.line, piece...)
			n += len(piece)
			if !ended {
				return n, nil
			}
			if err := f.endLine(); err != nil {
				return n, err
			}
			f.header++
			n++
		}
	}
	return n, nil
}

// oversize says whether the header that is passing is longer than net/http allows.
func (f *framing) oversize() bool { return f.header > f.max && f.part < body }

// begin expects the next request.
func (f *framing) begin() {
	const keep = 1 << 10 // bytes, while the connection is idle
	if cap(f.line) > keep {
		f.line = nil
	}
	f.part, f.header, f.request = startLine, 0, request{}
}

func (f *framing) endLine() error {
	line, proper := bytes.CutSuffix(f.line, []byte("\r"))
	f.line = f.line[:0]
	switch {
	case !proper:
		return errLineEnd
	case bytes.ContainsFunc(line, isControl):
		return errControl
	case f.part == startLine:
		return f.start(string(line))
	case len(line) == 0:
		return f.endHeader()
	}
	return f.field(string(line))
}

func isControl(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }

func (f *framing) start(line string) error {
	if line == "" {
		if f.header+1 > maxEmpty {
			return errEmpty
		}
		return nil
	}
	words := strings.Split(line, " ")
	if len(words) != 3 || words[0] == "" || words[1] == "" || strings.Contains(line, "\t") {
		return errStart
	}
	switch words[2] {
	case "HTTP/1.1":
	case "HTTP/1.0":
		f.http10 = true
	default:
		return errStart
	}
	f.connect = words[0] == "CONNECT"
	f.part = fields
	return nil
}

func (f *framing) field(line string) error {
	if line[0] == ' ' || line[0] == '\t' {
		return errFolded
	}
	name, value, ok := strings.Cut(line, ":")
	if !ok || !httpguts.ValidHeaderFieldName(name) {
		return errField
	}
	value = strings.Trim(value, " \t")
	switch strings.ToLower(name) {
	case "host":
		f.hosts++
	case "content-length":
		f.length++
		size, err := strconv.ParseUint(value, 10, 63)
		if err != nil || f.length > 1 {
			return errLength
		}
		f.size = int64(size)
	case "transfer-encoding":
		f.chunked++
		if !strings.EqualFold(value, "chunked") || f.chunked > 1 {
			return errCoding
		}
	}
	return nil
}

func (f *framing) endHeader() error {
	switch {
	case f.chunked > 0 && f.length > 0:
		return errBoth
	case f.chunked > 0 && f.http10:
		return errOld
	case f.connect && (f.chunked > 0 || f.size > 0):
		return errConnect
	case f.hosts > 1 || f.hosts == 0 && !f.http10 && !f.connect:
		return errHost
	}
	f.requests.Add(1)
	switch {
	case f.connect || f.chunked > 0:
		f.part, f.line = rest, nil
	case f.size > 0:
		f.part, f.body = body, f.size
	default:
		f.begin()
	}
	return nil
}
