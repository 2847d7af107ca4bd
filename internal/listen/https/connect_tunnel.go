package https

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"jackfield"
)

// How long a client may take to accept the few bytes of an answer.
const tunnelAnswerTimeout = 5 * time.Second

// A tunnel is a CONNECT request whose client may become a stream.
type tunnel interface {
	take() (jackfield.Stream, error) // comes first
	accept(destination) error        // tells the client that its session is open
	refuse(*jackfield.Error)         // instead
	end()                            // comes last, always
}

func newTunnel(w http.ResponseWriter, r *http.Request, c *connection) tunnel {
	if r.ProtoMajor == 1 {
		return &tunnelH1{w: w, connection: c}
	}
	return newTunnelH2(w, r, c)
}

// A tunnelH1 is one that takes the whole connection.
type tunnelH1 struct {
	w          http.ResponseWriter
	connection *connection
	stream     jackfield.Stream
}

func (t *tunnelH1) take() (jackfield.Stream, error) {
	stream, read, err := Hijack(t.w)
	if err != nil {
		return nil, err
	}
	t.stream = stream
	if len(read) > 0 {
		return &begun{Stream: stream, read: read}, nil
	}
	return stream, nil
}

func (t *tunnelH1) accept(to destination) error {
	answer := "HTTP/1.1 200 Connection established\r\n"
	if to.picked {
		answer += serviceField + ": " + string(to.name) + "\r\n"
	}
	t.stream.SetWriteDeadline(time.Now().Add(tunnelAnswerTimeout))
	defer t.stream.SetWriteDeadline(time.Time{})
	_, err := io.WriteString(t.stream, answer+"\r\n")
	return err
}

func (t *tunnelH1) refuse(refusal *jackfield.Error) {
	header := make(http.Header)
	p := problemOf(refusal, header)
	answer := wholeAnswer(p, header)
	t.connection.client.Farewell(func(io.Writer) error {
		if _, err := t.stream.Write(answer); err != nil {
			return err
		}
		return t.stream.CloseWrite()
	})
}

func (t *tunnelH1) end() { t.connection.client.Conn.Close() }

// A begun stream is one of which the beginning was read.
type begun struct {
	jackfield.Stream
	read []byte
}

// Read implements net.Conn.
func (b *begun) Read(p []byte) (int, error) {
	if len(b.read) == 0 {
		return b.Stream.Read(p)
	}
	n := copy(p, b.read)
	b.read = b.read[n:]
	if len(b.read) == 0 {
		b.read = nil
	}
	return n, nil
}

// NetConn is the connection that it owns.
func (b *begun) NetConn() net.Conn { return b.Stream }

// refuseTunnel answers a request to the proxy that net/http still has, after which its connection is closed if it is one of
// HTTP/1: what follows the request would be read as data or as requests, depending on who reads.
func refuseTunnel(w http.ResponseWriter, r *http.Request, err error) {
	http.NewResponseController(w).SetWriteDeadline(time.Now().Add(tunnelAnswerTimeout))
	if r.ProtoMajor == 1 {
		w.Header().Set("Connection", "close")
	}
	writeProblem(w, problemOf(jackfield.AsError(err), w.Header()))
}

// problemOf puts a refusal into HTTP's words, and into the header what tools show of an answer to CONNECT: none shows its body.
func problemOf(refusal *jackfield.Error, header http.Header) problem {
	status := statusOf(refusal)
	if status == http.StatusProxyAuthRequired {
		header.Add("Proxy-Authenticate", `Bearer realm="jackfield"`)
		header.Add("Proxy-Authenticate", `Basic realm="jackfield", charset="UTF-8"`)
	}
	header.Set("Proxy-Status", fmt.Sprintf("jackfield; error=%s; details=%s",
		proxyErrorOf(refusal), sfString(refusal.Message+" ["+refusal.ID+"]")))
	return problem{Status: status, Kind: refusal.Kind, Detail: refusal.Message, ID: refusal.ID}
}

// proxyErrorOf is what a refusal is in RFC 9209, section 2.3.
func proxyErrorOf(refusal *jackfield.Error) string {
	if inHTTP := new(httpError); errors.As(refusal.Details, &inHTTP) {
		return inHTTP.proxyError
	}
	switch refusal.Kind {
	case jackfield.NotFound:
		return "destination_not_found"
	case jackfield.Unavailable, jackfield.Busy:
		return "destination_unavailable"
	case jackfield.Limited:
		return "connection_limit_reached"
	case jackfield.Internal:
		return "proxy_internal_error"
	case jackfield.Invalid:
		return "http_request_error"
	}
	return "http_request_denied"
}

// sfString writes a string of structured fields (RFC 9651, section 3.3.3), which are ASCII.
func sfString(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, c := range s {
		switch {
		case c == '"' || c == '\\':
			b.WriteByte('\\')
			b.WriteRune(c)
		case c < ' ' || c > '~':
			b.WriteByte('?')
		default:
			b.WriteRune(c)
		}
	}
	b.WriteByte('"')
	return b.String()
}
