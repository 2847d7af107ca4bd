package https

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"errors"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/url"
	"sync"
	"testing"
	"time"

	"jackfield"
	"jackfield/internal/gateway"
	"jackfield/internal/tlsstream"
)

// A lab is a listener whose clients are joined to services by CONNECT.
type lab struct {
	*host
	callers  *people
	records  *records
	sessions *gateway.Sessions
	serve    chan jackfield.Stream // what the service "wired" gets for each session
	listener *gateway.Listener
}

const (
	token    = "jft_good"      // of ann
	readOnly = "jft_read_only" // of ann
)

func bearer(token string) string { return "Bearer " + token }

func basic(user, password string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password))
}

func startLab(t *testing.T, plain bool, change func(*lab, *Options)) *lab {
	t.Helper()
	l := &lab{
		callers: newPeople(), records: new(records), sessions: gateway.NewSessions("test"),
		serve: make(chan jackfield.Stream, 1000),
	}
	l.listener = &gateway.Listener{Name: "web", Protocol: "https", Services: map[jackfield.Name]*gateway.Service{
		"wired":         {Name: "wired", Route: wired{l.serve}},
		"board.fpga-1":  {Name: "board.fpga-1", Route: wired{l.serve}},
		"dead":          {Name: "dead", Route: failing{jackfield.Refuse(jackfield.Unavailable, "service does not answer", nil)}},
		"faulty":        {Name: "faulty", Route: failing{errors.New("a secret of ours")}},
		"held":          {Name: "held", Route: wired{l.serve}, Lease: shut{jackfield.Busy}},
		"full":          {Name: "full", Route: wired{l.serve}, Levels: []gateway.Level{{Limit: shut{jackfield.Limited}}}},
		"hidden":        {Name: "hidden", Route: wired{l.serve}, Levels: []gateway.Level{{ACL: never{}}}},
		"never-opening": {Name: "never-opening", Route: stuck{}},
	}}
	l.host = start(t, plain, func(o *Options) {
		o.Listener = l.listener
		g := &gateway.Gateway{Sessions: l.sessions, Recorder: l.records, Log: o.Log}
		o.Connect = &Connector{Gateway: g, Listener: l.listener, Callers: l.callers}
		o.NewID = l.sessions.NewID
		if change != nil {
			change(l, o)
		}
	})
	return l
}

// people are the callers of a lab.
type people struct {
	mu     sync.Mutex
	revoke map[string][]context.CancelCauseFunc // by what was proven with
}

func newPeople() *people { return &people{revoke: make(map[string][]context.CancelCauseFunc)} }

func (p *people) Bearer(secret string) (Caller, error) {
	if secret != token && secret != readOnly {
		return Caller{}, jackfield.Refuse(jackfield.Unauthenticated, "no such token", nil)
	}
	return p.caller(secret, jackfield.ProofToken), nil
}

func (p *people) Owner(c *x509.Certificate) (Caller, error) {
	if c.Subject.CommonName != "ann" {
		return Caller{}, jackfield.Refuse(jackfield.Unauthenticated, "not a user's", nil)
	}
	return p.caller("certificate", jackfield.ProofCertificate), nil
}

func (p *people) caller(by string, proof jackfield.Proof) Caller {
	return Caller{
		Identity:   jackfield.Identity{User: "ann", Groups: []string{"lab"}, Proof: proof},
		MayConnect: by != readOnly,
		InForce: func(ctx context.Context) (context.Context, context.CancelFunc) {
			ctx, cancel := context.WithCancelCause(ctx)
			p.mu.Lock()
			defer p.mu.Unlock()
			p.revoke[by] = append(p.revoke[by], cancel)
			return ctx, func() { cancel(context.Canceled) }
		},
	}
}

// end makes credentials void.
func (p *people) end(by, why string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, cancel := range p.revoke[by] {
		cancel(errors.New(why))
	}
}

// A wired route hands the far end of its TCP connection to the test.
type wired struct{ to chan<- jackfield.Stream }

func (w wired) Open(context.Context, *jackfield.Request) (jackfield.Stream, error) {
	listener, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		return nil, err
	}
	defer listener.Close()
	near, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		return nil, err
	}
	far, err := listener.AcceptTCP()
	if err != nil {
		return nil, err
	}
	far.SetDeadline(time.Now().Add(patience))
	w.to <- far
	return near.(jackfield.Stream), nil
}

func (wired) String() string { return "wired" }

const patience = 30 * time.Second

type failing struct{ err error }

func (f failing) Open(context.Context, *jackfield.Request) (jackfield.Stream, error) {
	return nil, f.err
}
func (failing) String() string { return "failing" }

// A stuck route opens when its context ends.
type stuck struct{}

func (stuck) Open(ctx context.Context, _ *jackfield.Request) (jackfield.Stream, error) {
	<-ctx.Done()
	return nil, jackfield.Refuse(jackfield.Unavailable, "too late", context.Cause(ctx))
}
func (stuck) String() string { return "stuck" }

type never struct{}

func (never) Decide(context.Context, *jackfield.Request) jackfield.Decision {
	return jackfield.Decision{By: "never"}
}

type shut struct{ kind jackfield.Kind }

func (s shut) Enter(context.Context, *jackfield.Request) (func(), error) {
	return nil, jackfield.Refuse(s.kind, "not now", nil)
}

// records are what the audit of a lab has.
type records struct {
	mu      sync.Mutex
	closed  []jackfield.Record
	refused []jackfield.Record
}

func (r *records) Opened(*jackfield.Record) error { return nil }

func (r *records) Closed(record *jackfield.Record) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed = append(r.closed, *record)
}

func (r *records) Refused(record *jackfield.Record) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.refused = append(r.refused, *record)
}

// closes waits for the next close record, and returns it.
func (l *lab) closes() jackfield.Record {
	l.t.Helper()
	var record jackfield.Record
	await(l.t, "the session is closed", func() bool {
		l.records.mu.Lock()
		defer l.records.mu.Unlock()
		if len(l.records.closed) == 0 {
			return false
		}
		record = l.records.closed[0]
		l.records.closed = l.records.closed[1:]
		return true
	})
	return record
}

// ends waits for the next close record and checks its cause.
func (l *lab) ends(cause string) {
	l.t.Helper()
	if record := l.closes(); record.End.Cause != cause {
		l.t.Errorf("the session ended with %+v, want %q", record.End, cause)
	}
}

// service returns the service's end of the session that was opened last.
func (l *lab) service() jackfield.Stream {
	l.t.Helper()
	select {
	case s := <-l.serve:
		l.t.Cleanup(func() { s.Close() })
		return s
	case <-time.After(patience):
		l.t.Fatal("no session was opened")
		return nil
	}
}

// A joined client is one whose CONNECT was answered.
type joined struct {
	jackfield.Stream
	reader io.Reader
	reset  func()
	answer *http.Response
}

func (j *joined) Read(p []byte) (int, error) { return j.reader.Read(p) }

// A dialect is a way to send CONNECT.
type dialect struct {
	name    string
	plain   bool
	connect func(l *lab, target, authorization string) *joined
}

var dialects = []dialect{
	{"HTTP/1.1", true, (*lab).connectH1},
	{"HTTP/1.1 with TLS", false, (*lab).connectH1},
	{"HTTP/2", false, (*lab).connectH2},
}

func eachDialect(t *testing.T, test func(t *testing.T, l *lab, connect func(target, authorization string) *joined)) {
	for _, d := range dialects {
		t.Run(d.name, func(t *testing.T) {
			t.Parallel()
			l := startLab(t, d.plain, nil)
			test(t, l, func(target, authorization string) *joined { return d.connect(l, target, authorization) })
		})
	}
}

// dialStream connects as the listener's protocol wants, for HTTP/1.1.
func (l *lab) dialStream(certificates ...tls.Certificate) jackfield.Stream {
	l.t.Helper()
	tcp := l.dial()
	if l.roots == nil {
		return tcp
	}
	conn := tlsstream.Client(tcp, &tls.Config{
		RootCAs: l.roots, ServerName: hostName, NextProtos: []string{protocolH1}, Certificates: certificates,
	})
	if err := conn.Handshake(); err != nil {
		l.t.Fatal(err)
	}
	return tlsstream.Of(conn)
}

func asking(target, authorization string) string {
	text := "CONNECT " + target + " HTTP/1.1\r\nHost: " + target + "\r\n"
	if authorization != "" {
		text += "Proxy-Authorization: " + authorization + "\r\n"
	}
	return text + "\r\n"
}

func (l *lab) connectH1(target, authorization string) *joined {
	l.t.Helper()
	stream := l.dialStream()
	return l.ask(stream, asking(target, authorization))
}

// ask sends a request on a connection, unless it is empty, and reads the head of the answer.
func (l *lab) ask(stream jackfield.Stream, request string) *joined {
	l.t.Helper()
	if request != "" {
		if _, err := io.WriteString(stream, request); err != nil {
			l.t.Fatal(err)
		}
	}
	reader := bufio.NewReader(stream)
	answer, err := http.ReadResponse(reader, &http.Request{Method: http.MethodConnect})
	if err != nil {
		l.t.Fatal(err)
	}
	return &joined{Stream: stream, reader: reader, answer: answer, reset: func() { resetStream(stream) }}
}

func resetStream(s jackfield.Stream) {
	var below net.Conn = s
	if t, ok := s.(*tlsstream.Stream); ok {
		below = t.NetConn()
	}
	below.(interface{ SetLinger(int) error }).SetLinger(0)
	below.Close()
}

func (l *lab) connectH2(target, authorization string) *joined {
	l.t.Helper()
	client := l.client(true)
	client.Timeout = 0
	return l.connectBy(client, target, authorization)
}

// connectBy is connectH2 by a client that may have a connection already.
func (l *lab) connectBy(client *http.Client, target, authorization string) *joined {
	l.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	body, up := io.Pipe()
	r := (&http.Request{
		Method: http.MethodConnect, URL: &url.URL{Scheme: "https", Host: l.address}, Host: target, Header: http.Header{},
		Body: body, ContentLength: -1,
	}).WithContext(ctx)
	if authorization != "" {
		r.Header.Set("Proxy-Authorization", authorization)
	}
	late := time.AfterFunc(patience, cancel)
	answer, err := client.Do(r)
	if err != nil {
		cancel()
		l.t.Fatal(err)
	}
	l.t.Cleanup(func() { late.Stop(); cancel(); up.Close(); answer.Body.Close() })
	return &joined{Stream: h2Client{up: up}, reader: answer.Body, answer: answer, reset: func() {
		cancel()
		up.CloseWithError(context.Canceled) // without it the transport waits for the body first
	}}
}

// h2Client is the sending side of an HTTP/2 stream.
type h2Client struct {
	net.Conn // for what nobody asks for
	up       *io.PipeWriter
}

func (c h2Client) Read([]byte) (int, error)    { return 0, errors.New("read the answer's body") }
func (c h2Client) Write(p []byte) (int, error) { return c.up.Write(p) }
func (c h2Client) CloseWrite() error           { return c.up.Close() }
func (c h2Client) Close() error                { return c.up.Close() }

// pass writes a message into one end and expects it at the other.
func pass(t *testing.T, from io.Writer, to io.Reader, message string) {
	t.Helper()
	if _, err := io.WriteString(from, message); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, len(message))
	if _, err := io.ReadFull(to, got); err != nil || string(got) != message {
		t.Fatalf("read %q, %v; want %q", got, err, message)
	}
}

// expectEnd expects an end in order, and nothing before it.
func expectEnd(t *testing.T, r io.Reader) {
	t.Helper()
	if rest, err := io.ReadAll(r); err != nil || len(rest) > 0 {
		t.Fatalf("read %q, %v; want the end", rest, err)
	}
}

// expectBreak expects an end that is none in order.
func expectBreak(t *testing.T, r io.Reader) {
	t.Helper()
	if rest, err := io.ReadAll(r); err == nil {
		t.Fatalf("read %q and the end; want a reset", rest)
	}
}

// newClientCertificate makes one that is its own authority.
func newClientCertificate(t *testing.T, name string) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
}
