package api

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"reflect"
	"strconv"
	"strings"
	"syscall"
	"time"

	"jackfield"
)

// What a client waits for and reads at most.
const (
	maxAnswer     = 64 << 20 // bytes of JSON; of a list, all its parts together
	maxRefusal    = 1 << 20  // bytes of JSON
	maxEntries    = 100_000  // of a list, all its parts together
	clientTimeout = time.Minute
)

// ClientOptions say which server a client asks, and as whom.
type ClientOptions struct {
	// URL is the server's, such as "https://jackfield.example.org"; http is for loopback addresses alone. With Socket, it is not
	// looked at.
	URL string

	// Socket is the path of the server's Unix socket, to be asked instead.
	Socket string

	Token string // empty: none; only what needs no authentication, or the socket or a certificate does

	Roots       *x509.CertPool   // that the server's certificate is verified with; nil: the system's. See PinnedRoots
	Certificate *tls.Certificate // the client's; nil: none

	// Verified is told of every connection whose certificate has been verified; nil: nobody is.
	Verified func(tls.ConnectionState)

	// Explain makes a sentence of what kept a request from being answered; nil, or where it returns nil: the client does.
	Explain func(error) error
}

// A Client asks a server. It may be used by many goroutines at once. A refusal by the server is a [*jackfield.Error]; every
// other error is a sentence that names the server.
//
// The server is not trusted with the caller's terminal or memory: texts in answers are [Visible], but for records of the audit,
// names of services are well formed, and lists end.
type Client struct {
	base   string
	place  string // what errors call the server
	socket bool   // place is a Unix socket
	token  string
	told   func(error) error // ClientOptions.Explain; may be nil
	http   http.Client
}

// NewClient makes a client. It connects when it is asked something. Close it.
func NewClient(o ClientOptions) (*Client, error) {
	transport := &http.Transport{ForceAttemptHTTP2: true, MaxIdleConnsPerHost: 2, IdleConnTimeout: clientTimeout}
	c := &Client{token: o.Token, told: o.Explain, http: http.Client{Transport: transport, CheckRedirect: noRedirect}}
	if o.Socket != "" {
		var dialer net.Dialer
		transport.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
			return dialer.DialContext(ctx, "unix", o.Socket)
		}
		c.base, c.place, c.socket = "http://localhost"+Base, o.Socket, true
		return c, nil
	}
	base, err := url.Parse(o.URL)
	if err != nil || base.Host == "" || base.Scheme != "https" && base.Scheme != "http" || strings.Trim(base.Path, "/") != "" {
		return nil, fmt.Errorf("%q is not the address of a server: it looks like https://jackfield.example.org", o.URL)
	}
	transport.TLSClientConfig = &tls.Config{RootCAs: o.Roots}
	if o.Verified != nil {
		transport.TLSClientConfig.VerifyConnection = func(c tls.ConnectionState) error {
			o.Verified(c)
			return nil
		}
	}
	if o.Certificate != nil {
		transport.TLSClientConfig.Certificates = []tls.Certificate{*o.Certificate}
	}
	if base.Scheme == "http" {
		transport.DialContext = (&net.Dialer{Control: LoopbackOnly}).DialContext
	}
	c.place = base.Scheme + "://" + base.Host
	c.base = c.place + Base
	return c, nil
}

// ErrPlain says that a connection without TLS would have left this machine.
var ErrPlain = errors.New("without TLS, only this machine is asked")

// LoopbackOnly is the Control of a net.Dialer for connections without TLS, over which secrets go: whatever a name such as localhost
// stands for, they stay on this machine. The error is ErrPlain.
func LoopbackOnly(_, address string, _ syscall.RawConn) error {
	if to, err := netip.ParseAddrPort(address); err == nil && to.Addr().Unmap().IsLoopback() {
		return nil
	}
	return fmt.Errorf("%w, and not %s", ErrPlain, address)
}

// noRedirect keeps a token with the server that it is for.
func noRedirect(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

// Place is what errors call the server: its URL, or the path of its socket.
func (c *Client) Place() string { return c.place }

// Close closes connections that are idle.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// PinnedRoots asks a server for the authority that signs its certificates and returns it if it has the fingerprint, which the
// caller knows from elsewhere: 64 hexadecimal digits of SHA-256. Nothing secret is sent before.
func PinnedRoots(ctx context.Context, serverURL, fingerprint string) (*x509.CertPool, error) {
	c, err := NewClient(ClientOptions{URL: serverURL})
	if err != nil {
		return nil, err
	}
	defer c.Close()
	c.http.Transport.(*http.Transport).TLSClientConfig.InsecureSkipVerify = true // the fingerprint verifies what is read
	authority, err := c.Authority(ctx)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode([]byte(authority.Bundle))
	if block == nil {
		return nil, c.strange(errors.New("its authority is no certificate"))
	}
	sum := sha256.Sum256(block.Bytes)
	if !strings.EqualFold(hex.EncodeToString(sum[:]), fingerprint) {
		return nil, fmt.Errorf("%s is not the server that it should be: its authority has the fingerprint %x", c.place, sum)
	}
	certificate, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return nil, c.strange(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(certificate)
	return roots, nil
}

// A request is what a client asks.
type request struct {
	method, path string
	query        url.Values
	body         any // sent as JSON; or
	raw          io.Reader
	mediaType    string // of raw
	match        string // for If-Match; empty: none
	lastID       string // for Last-Event-ID
	room         *int   // bytes that are left for the answer, and are taken; nil: maxAnswer
}

// ask sends a request without reading the answer, which the caller closes. Refusals are errors.
func (c *Client) ask(ctx context.Context, q request) (*http.Response, error) {
	body, mediaType := q.raw, q.mediaType
	if q.body != nil {
		text, err := json.Marshal(q.body)
		if err != nil {
			return nil, err
		}
		body, mediaType = bytes.NewReader(text), "application/json"
	}
	target := c.base + q.path
	if len(q.query) > 0 {
		target += "?" + q.query.Encode()
	}
	r, err := http.NewRequestWithContext(ctx, q.method, target, body)
	if err != nil {
		return nil, err
	}
	for name, value := range map[string]string{
		"Content-Type": mediaType, "If-Match": q.match, "Last-Event-ID": q.lastID, "Authorization": bearer(c.token),
	} {
		if value != "" {
			r.Header.Set(name, value)
		}
	}
	answer, err := c.http.Do(r)
	if err != nil {
		return nil, c.explain(err)
	}
	if answer.StatusCode < 200 || answer.StatusCode > 299 {
		defer answer.Body.Close()
		return nil, c.refusal(answer)
	}
	return answer, nil
}

func bearer(token string) string {
	if token == "" {
		return ""
	}
	return "Bearer " + token
}

// do sends a request and reads the answer into result, unless that is nil.
func (c *Client) do(ctx context.Context, q request, result any) (tag string, err error) {
	ctx, cancel := context.WithTimeout(ctx, clientTimeout)
	defer cancel()
	answer, err := c.ask(ctx, q)
	if err != nil {
		return "", err
	}
	defer answer.Body.Close()
	room := maxAnswer
	if q.room == nil {
		q.room = &room
	}
	body, err := io.ReadAll(io.LimitReader(answer.Body, int64(*q.room)+1))
	*q.room -= len(body)
	switch {
	case err != nil:
		return "", c.explain(err)
	case *q.room < 0:
		return "", c.strange(fmt.Errorf("it answered with more than %d bytes", maxAnswer))
	case result == nil:
		return "", nil
	}
	if err := json.Unmarshal(body, result); err != nil {
		return "", c.strange(err)
	}
	if err := disarm(reflect.ValueOf(result).Elem(), false); err != nil {
		return "", c.strange(err)
	}
	return answer.Header.Get("ETag"), nil
}

func (c *Client) refusal(answer *http.Response) error {
	body, err := io.ReadAll(io.LimitReader(answer.Body, maxRefusal))
	var p Problem
	if err != nil || json.Unmarshal(body, &p) != nil || disarm(reflect.ValueOf(&p).Elem(), false) != nil || p.Kind == "" {
		return c.strange(errors.New("it answered " + Visible(answer.Status)))
	}
	return &jackfield.Error{Kind: p.Kind, Message: p.Detail, ID: p.ID}
}

func (c *Client) strange(err error) error {
	return fmt.Errorf("what listens on %s does not speak like a Jackfield server: %w", c.place, err)
}

func (c *Client) explain(err error) error {
	switch {
	case c.socket && errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("no server runs with %s: start one with \"jackfield serve\", or name its socket with --socket", c.place)
	case c.socket && isRefused(err):
		return fmt.Errorf("the server that ran with %s has ended: start one with \"jackfield serve\", "+
			"or name its socket with --socket", c.place)
	case c.socket && errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("you may not use %s: run this as the server's user or as root", c.place)
	}
	if request, is := errors.AsType[*url.Error](err); is {
		err = request.Err // without the method and the URL, which mean nothing to the person
	}
	if c.told != nil {
		if told := c.told(err); told != nil {
			return told
		}
	}
	return fmt.Errorf("the server at %s did not answer: %w", c.place, err)
}

// fetch asks for one thing.
func fetch[T any](ctx context.Context, c *Client, path string) (T, error) {
	var result T
	_, err := c.do(ctx, request{method: http.MethodGet, path: path}, &result)
	return result, err
}

// send asks for something to be done.
func send[T any](ctx context.Context, c *Client, method, path string, body any) (T, error) {
	var result T
	_, err := c.do(ctx, request{method: method, path: path, body: body}, &result)
	return result, err
}

// fetchAll asks for a list, part by part. The query is changed. A list that does not come to its end is refused.
func fetchAll[L, T any](ctx context.Context, c *Client, path string, query url.Values, items func(L) ([]T, string)) ([]T, error) {
	if query == nil {
		query = make(url.Values)
	}
	query.Set("limit", strconv.Itoa(maxLimit))
	all, room := []T{}, maxAnswer
	for {
		var part L
		if _, err := c.do(ctx, request{method: http.MethodGet, path: path, query: query, room: &room}, &part); err != nil {
			return nil, err
		}
		list, next := items(part)
		all = append(all, list...)
		switch {
		case len(all) > maxEntries:
			return nil, c.strange(fmt.Errorf("its list has more than %d entries", maxEntries))
		case next == "":
			return all, nil
		case len(list) == 0 || next == query.Get("cursor"):
			return nil, c.strange(errors.New("its list does not end"))
		}
		query.Set("cursor", next)
	}
}
