package https

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
)

const head = "POST /first HTTP/1.1\r\nHost: localhost\r\n"

// smuggled is a request that must never be seen as one of its own.
const smuggled = "GET /smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n"

// Forms of request smuggling (RFC 9112, section 11.2), as bytes on a connection. None reaches a handler, the answer arrives,
// and the connection ends with it.
var ambiguous = []struct{ name, sent string }{
	{"length and chunks", head + "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + smuggled},
	{"chunks and length", head + "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n" + smuggled},
	{"two lengths", head + "Content-Length: 0\r\nContent-Length: 44\r\n\r\n" + smuggled},
	{"the same length twice", head + "Content-Length: 1\r\nContent-Length: 1\r\n\r\nx" + smuggled},
	{"list of lengths", head + "Content-Length: 1, 1\r\n\r\nx" + smuggled},
	{"signed length", head + "Content-Length: +1\r\n\r\nx" + smuggled},
	{"negative length", head + "Content-Length: -1\r\n\r\n" + smuggled},
	{"hexadecimal length", head + "Content-Length: 0x1\r\n\r\nx" + smuggled},
	{"empty length", head + "Content-Length:\r\n\r\n" + smuggled},
	{"length with a gap", head + "Content-Length: 1 1\r\n\r\n" + smuggled},
	{"huge length", head + "Content-Length: 18446744073709551617\r\n\r\nx" + smuggled},
	{"xchunked", head + "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n" + smuggled},
	{"chunked and identity", head + "Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n" + smuggled},
	{"two codings", head + "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n" + smuggled},
	{"chunked twice", head + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + smuggled},
	{"chunked in quotes", head + "Transfer-Encoding: \"chunked\"\r\n\r\n0\r\n\r\n" + smuggled},
	{"chunked after a vertical tab", head + "Transfer-Encoding: \vchunked\r\n\r\n0\r\n\r\n" + smuggled},
	{"chunks with HTTP/1.0", "POST / HTTP/1.0\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + smuggled},
	{"folded coding", head + "Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n" + smuggled},
	{"folded field", head + "X-A: b\r\n\tc\r\n\r\n" + smuggled},
	{"first field folded", "GET / HTTP/1.1\r\n Host: localhost\r\n\r\n"},
	{"bare line feeds", "GET / HTTP/1.1\nHost: localhost\n\n" + smuggled},
	{"one bare line feed", head + "X-A: b\nContent-Length: 44\r\n\r\n" + smuggled},
	{"empty line without CR", head + "X-A: b\r\n\n" + smuggled},
	{"bare carriage return", head + "X-A: b\rContent-Length: 44\r\n\r\n" + smuggled},
	{"two carriage returns", head + "X-A: b\r\r\n\r\n"},
	{"NUL in a value", head + "X-A: b\x00c\r\n\r\n"},
	{"control byte in a value", head + "X-A: b\x01c\r\n\r\n"},
	{"DEL in a value", head + "X-A: b\x7fc\r\n\r\n"},
	{"control byte in the target", "GET /\x01 HTTP/1.1\r\nHost: localhost\r\n\r\n"},
	{"NUL in a name", head + "X\x00A: b\r\n\r\n"},
	{"space before the colon", head + "Content-Length : 44\r\n\r\n" + smuggled},
	{"space in a name", head + "X A: b\r\n\r\n"},
	{"no name", head + ": b\r\n\r\n"},
	{"no colon", head + "Content-Length\r\n\r\n"},
	{"tab in the request line", "GET\t/ HTTP/1.1\r\nHost: localhost\r\n\r\n"},
	{"two spaces in the request line", "GET  / HTTP/1.1\r\nHost: localhost\r\n\r\n"},
	{"space in the target", "GET /a b HTTP/1.1\r\nHost: localhost\r\n\r\n"},
	{"space at the end of the request line", "GET / HTTP/1.1 \r\nHost: localhost\r\n\r\n"},
	{"HTTP/0.9", "GET /\r\n\r\n"},
	{"HTTP/1.2", "GET / HTTP/1.2\r\nHost: localhost\r\n\r\n"},
	{"HTTP/2.0", "GET / HTTP/2.0\r\nHost: localhost\r\n\r\n"},
	{"lower case version", "GET / http/1.1\r\nHost: localhost\r\n\r\n"},
	{"no Host", "GET / HTTP/1.1\r\n\r\n"},
	{"no Host with HTTP/1.0", "GET / HTTP/1.0\r\n\r\n"},
	{"empty Host", "GET / HTTP/1.1\r\nHost:\r\n\r\n"},
	{"two Hosts", "GET / HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n\r\n"},
	{"Host with a space", "GET / HTTP/1.1\r\nHost: localhost evil\r\n\r\n"},
	{"too many empty lines", strings.Repeat("\r\n", 1000) + smuggled},
	{"CONNECT with a body", "CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\nContent-Length: 4\r\n\r\nbody"},
}

func TestAmbiguousRequests(t *testing.T) {
	for _, plain := range []bool{true, false} {
		h := start(t, plain, func(o *Options) {
			o.HTTP = http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { t.Errorf("a handler has seen %s", r.URL) })
		})
		for _, test := range ambiguous {
			t.Run(fmt.Sprintf("%s, plain %v", test.name, plain), func(t *testing.T) {
				conn := h.dialHTTP()
				if _, err := io.WriteString(conn, test.sent); err != nil {
					t.Fatal(err)
				}
				r := bufio.NewReader(conn)
				if status, _ := readNext(t, r); status != 400 {
					t.Errorf("answered with %d", status)
				}
				if rest, err := io.ReadAll(r); err != nil || len(rest) > 0 {
					t.Errorf("after the answer: %q, %v", rest, err)
				}
			})
		}
	}
}

// What is in order passes, and each request is seen once. Expected are the answers' statuses.
func TestFraming(t *testing.T) {
	for _, test := range []struct {
		name, sent, want string
	}{
		{"pipelined", smuggled + smuggled, "200 200"},
		{"bodies", head + "Content-Length: 3\r\n\r\nabc" + head + "content-length:\t1 \r\n\r\nx" + smuggled, "200 200 200"},
		{"line ends in a body", head + "Content-Length: 4\r\n\r\n\n\n\n\n" + smuggled, "200 200"},
		{"empty line before a request", head + "Content-Length: 1\r\n\r\nx\r\n" + smuggled, "200 200"},
		{"the last one with chunks", smuggled + head + "Transfer-Encoding: Chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n" + smuggled, "200 200"},
		{"chunk extension with a line feed", head + "Transfer-Encoding: chunked\r\n\r\n1;a\nx\r\n0\r\n\r\n" + smuggled, "200"},
		{"chunk size with a sign", head + "Transfer-Encoding: chunked\r\n\r\n+1\r\nx\r\n0\r\n\r\n" + smuggled, "200"},
		{"chunks without end", head + "Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n" + smuggled, "200"},
		{"HTTP/1.0", "GET / HTTP/1.0\r\nHost: localhost\r\n\r\n" + smuggled, "200"},
		{"connection to be closed", "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n" + smuggled, "200"},
		{"good, then ambiguous", smuggled + "GET / HTTP/1.1\nHost: localhost\n\n" + smuggled, "200 400"},
		{"foreign, then good", "GET / HTTP/1.1\r\nHost: evil\r\n\r\n" + smuggled, "421"},
	} {
		t.Run(test.name, func(t *testing.T) {
			h := start(t, true, nil)
			conn := h.dial()
			io.WriteString(conn, test.sent)
			conn.CloseWrite()
			if got := statuses(t, conn); got != test.want {
				t.Errorf("answered with %s, want %s", got, test.want)
			}
		})
	}
}

func statuses(t *testing.T, conn io.Reader) string {
	var list []string
	r := bufio.NewReader(conn)
	for {
		status, _ := readNext(t, r)
		if status == 0 {
			return strings.Join(list, " ")
		}
		list = append(list, fmt.Sprint(status))
	}
}

// What may pass does not depend on how the bytes are cut; and where a header passes, net/http reads just the same from it.
func FuzzFraming(f *testing.F) {
	for _, seed := range ambiguous {
		f.Add([]byte(seed.sent), byte(7))
	}
	f.Add([]byte(head+"Content-Length: 3\r\n\r\nabc"+smuggled), byte(1))
	f.Fuzz(func(t *testing.T, sent []byte, size byte) {
		whole := &framing{max: 1 << 10}
		passed, failure := whole.scan(sent)
		cut := &framing{max: 1 << 10}
		got := 0
		var err error
		for rest := sent; len(rest) > 0 && err == nil; {
			piece := rest[:min(len(rest), int(size)+1)]
			var n int
			n, err = cut.scan(piece)
			got += n
			rest = rest[n:]
		}
		if got > len(sent) || (err == nil) != (failure == nil) || err == nil && got != passed {
			t.Fatalf("whole: %d passed, %v; in pieces: %d, %v", passed, failure, got, err)
		}
		if !errors.Is(err, failure) && failure != errLong && err != errLong {
			t.Fatalf("whole: %v; in pieces: %v", failure, err)
		}
		compare(t, sent[:passed])
	})
}

// compare reads the first request as net/http does.
func compare(t *testing.T, passed []byte) {
	followed := &framing{max: 1 << 10}
	end := bytes.Index(passed, []byte("\r\n\r\n")) + 4
	trimmed := bytes.TrimLeft(passed, "\r\n")
	if end < 4 || len(trimmed) != len(passed) {
		return
	}
	if _, err := followed.scan(passed[:end]); err != nil {
		t.Fatalf("refused what passed before: %v", err)
	}
	r, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(passed)))
	if err != nil {
		return // net/http is stricter here
	}
	size, chunked := int64(0), followed.part == rest && r.Method != http.MethodConnect
	if followed.part == body {
		size = followed.body
	}
	if chunked != (len(r.TransferEncoding) > 0) || !chunked && r.ContentLength != size {
		t.Fatalf("net/http reads length %d and coding %v, we read %d and %v", r.ContentLength, r.TransferEncoding, size, chunked)
	}
}
