package client

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"jackfield"
	"jackfield/internal/api"
	"jackfield/internal/tlsstream"
)

// maxHead is the length in bytes of the longest head, and of the longest body, of an answer to CONNECT that is read.
const maxHead = 64 << 10

var errSlow = fmt.Errorf("it took more than %v", openTimeout)

// Dial opens a session with a service. A refusal by the server is a [*jackfield.Error]; every other error is a sentence that
// names the server. Reading the stream ends with io.EOF only after close_notify: see internal/tlsstream.
func (s *Server) Dial(ctx context.Context, name jackfield.Name) (jackfield.Stream, error) {
	stream, _, err := s.dial(ctx, name, false)
	return stream, err
}

// Open opens a session with what a person has called by a service's name or, where that is unambiguous, a station's: then it is with
// the station's service ssh or console, as [Server.Resolve] has it. It returns the service's name. The server is asked once, so a
// refusal does not tell a station with several such services from one that is not there.
func (s *Server) Open(ctx context.Context, called jackfield.Name) (jackfield.Stream, jackfield.Name, error) {
	return s.dial(ctx, called, called.Station() == "")
}

// dial asks for a service, or leaves it to the server to pick the one of a station.
func (s *Server) dial(ctx context.Context, called jackfield.Name, pick bool) (jackfield.Stream, jackfield.Name, error) {
	name, err := jackfield.ParseName(string(called)) // it becomes a part of the request's head
	if err != nil {
		return nil, called, jackfield.Refuse(jackfield.Invalid, err.Error(), nil)
	}
	opening, cancel := context.WithTimeoutCause(ctx, openTimeout, errSlow)
	defer cancel()
	conn, err := s.connect(opening, s.trust.Load())
	if err != nil {
		return nil, name, unanswered(s.login.URL, err)
	}
	stop := context.AfterFunc(opening, func() { conn.SetDeadline(time.Unix(1, 0)) })
	stream, picked, err := s.ask(conn, name, pick)
	if !stop() && err == nil {
		err = context.Cause(opening)
	}
	if err != nil {
		conn.Close()
		if refusal, is := errors.AsType[*jackfield.Error](err); is {
			return nil, name, refusal
		}
		if opening.Err() != nil {
			err = context.Cause(opening)
		}
		return nil, name, unanswered(s.login.URL, err)
	}
	s.follow(ctx)
	return stream, picked, nil
}

// keepAlive breaks a stream half a minute after the server went out of reach, as for a machine that slept or changed its network.
// Bytes under way may take longer (TCP retransmits them for about a quarter of an hour): TCP_USER_TIMEOUT would also break a stream
// whose service does not read for a while, which is back pressure.
func keepAlive() net.KeepAliveConfig {
	return net.KeepAliveConfig{Enable: true, Idle: 15 * time.Second, Interval: 5 * time.Second, Count: 3}
}

// connect makes a connection, with TLS if there is trust.
func (s *Server) connect(ctx context.Context, trust *tls.Config) (jackfield.Stream, error) {
	dialer := net.Dialer{KeepAliveConfig: keepAlive()}
	if trust == nil {
		dialer.Control = api.LoopbackOnly
	}
	plain, err := dialer.DialContext(ctx, "tcp", s.address())
	if err != nil {
		return nil, err
	}
	socket := plain.(*net.TCPConn)
	if trust == nil {
		return socket, nil
	}
	conn := tlsstream.Client(socket, trust)
	if err := conn.HandshakeContext(ctx); err != nil {
		socket.Close()
		return nil, err
	}
	return tlsstream.Of(conn), nil
}

// ask sends CONNECT and reads the answer, which may say that the server has picked a service of the station that was called.
func (s *Server) ask(conn jackfield.Stream, called jackfield.Name, pick bool) (stream jackfield.Stream, name jackfield.Name, err error) {
	target := string(called) + ":1" // any port will do: the name says it all
	more := ""
	if pick {
		more = "Jackfield-Pick: station\r\n"
	}
	if _, err := fmt.Fprintf(conn, "CONNECT %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: jackfield\r\nProxy-Authorization: Bearer %s\r\n%s\r\n",
		target, target, s.login.Token, more); err != nil {
		return nil, "", err
	}
	limited := &io.LimitedReader{R: conn, N: maxHead}
	reader := bufio.NewReader(limited)
	answer, err := http.ReadResponse(reader, &http.Request{Method: http.MethodConnect})
	if err != nil {
		if limited.N <= 0 || !isTransport(err) {
			err = errors.New("what it said was no answer of HTTP")
		}
		return nil, "", err
	}
	if answer.StatusCode/100 != 2 {
		defer answer.Body.Close()
		limited.N = maxHead
		return nil, "", refusalOf(answer)
	}
	name = called
	if picked := answer.Header.Get("Jackfield-Service"); pick && picked != "" {
		if name, err = jackfield.ParseName(picked); err != nil || name.Station() != string(called) {
			return nil, "", fmt.Errorf("it picked a service of another station, %.100q", picked)
		}
	}
	if reader.Buffered() == 0 {
		return conn, name, nil
	}
	head, err := reader.Peek(reader.Buffered())
	return &begun{conn, head}, name, err
}

// isTransport tells an error of the connection from one of what came over it.
func isTransport(err error) bool {
	_, is := errors.AsType[net.Error](err)
	return is || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF)
}

// refusalOf reads a refusal, whose body is a problem unless somebody in between wrote it.
func refusalOf(answer *http.Response) error {
	var p api.Problem
	body, err := io.ReadAll(io.LimitReader(answer.Body, maxHead))
	if err == nil {
		err = json.Unmarshal(body, &p)
	}
	if err != nil || p.Kind == "" {
		kind, known := kinds[answer.StatusCode]
		if !known {
			return fmt.Errorf("it answered CONNECT with %s", api.Visible(answer.Status))
		}
		return jackfield.Refuse(kind, "the server answered "+api.Visible(answer.Status), nil)
	}
	return &jackfield.Error{Kind: p.Kind, Message: api.Visible(p.Detail), ID: api.Visible(p.ID)}
}

// kinds are what statuses of answers to CONNECT mean.
var kinds = map[int]jackfield.Kind{
	http.StatusBadRequest:          jackfield.Invalid,
	http.StatusForbidden:           jackfield.Denied,
	http.StatusNotFound:            jackfield.NotFound,
	http.StatusProxyAuthRequired:   jackfield.Unauthenticated,
	http.StatusConflict:            jackfield.Busy,
	http.StatusTooManyRequests:     jackfield.Limited,
	http.StatusInternalServerError: jackfield.Internal,
	http.StatusServiceUnavailable:  jackfield.Unavailable,
}

// A begun stream has bytes that came together with the answer.
type begun struct {
	jackfield.Stream
	head []byte
}

// Read implements net.Conn.
func (b *begun) Read(p []byte) (int, error) {
	if len(b.head) == 0 {
		return b.Stream.Read(p)
	}
	n := copy(p, b.head)
	b.head = b.head[n:]
	return n, nil
}

// NetConn is where the relay finds the socket.
func (b *begun) NetConn() net.Conn { return b.Stream }

// Resolve returns the full name of what a person has called by a service's name or, where that is unambiguous, a station's: then
// it is the station's service ssh or console. It asks the server.
func (s *Server) Resolve(ctx context.Context, called jackfield.Name) (jackfield.Name, error) {
	services, err := s.API.Services(ctx)
	if err != nil {
		return "", err
	}
	var found []string
	for _, service := range services {
		label, _, _ := strings.Cut(string(service.Name), ".")
		switch {
		case service.Name == called:
			return called, nil
		case service.Name.Station() == string(called) && (label == "ssh" || label == "console"):
			found = append(found, string(service.Name))
		}
	}
	switch len(found) {
	case 0:
		return "", jackfield.Refuse(jackfield.NotFound, fmt.Sprintf("there is no service %q that you may use: see jackfield ls", called), nil)
	case 1:
		return jackfield.Name(found[0]), nil
	}
	return "", jackfield.Refuse(jackfield.Invalid, fmt.Sprintf("station %q has several services: say %s", called, strings.Join(found, " or ")), nil)
}
