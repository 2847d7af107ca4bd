package https

import (
	"cmp"
	"context"
	"crypto/x509"
	"errors"
	"net/http"
	"strconv"
	"strings"

	"jackfield"
	"jackfield/internal/gateway"
)

// A Connector is the handler of CONNECT (RFC 9110, section 9.3.6): the target names a service, to which the client is joined.
//
//	CONNECT console.fpga-1:1 HTTP/1.1
//	Proxy-Authorization: Bearer TOKEN
//
// Any port will do, for a name has none. The client has to prove who it is, whatever the rules allow: with a token, sent as
// Bearer or as the password of Basic, or with a client certificate where the listener asks for them. A password is never
// taken. Without good credentials the answer is 407, and the name is not looked at.
//
// With the field "Jackfield-Pick: station", a name without a station that no service has is a station's: it stands for the one of
// its services ssh and console that the client may use. Where that is one, the answer says which, in the field Jackfield-Service.
//
// The session ends as soon as the token, the user or the certificate is void, and so when a token expires in its middle.
//
// With HTTP/1.1 the connection becomes the stream, and what a client sent after its request without waiting for the answer
// is the stream's beginning. With HTTP/2 (RFC 9113, section 8.5) it is one stream of the connection, which has no half-close
// towards the client: what the service ends ends the whole.
type Connector struct {
	Gateway  *gateway.Gateway
	Listener *gateway.Listener
	Callers  Callers
}

// Callers knows who credentials belong to. What it refuses is of kind Unauthenticated.
type Callers interface {
	Bearer(token string) (Caller, error)
	Owner(c *x509.Certificate) (Caller, error) // of a client certificate that the handshake has verified
}

// A Caller is somebody who has proven who they are.
type Caller struct {
	Identity   jackfield.Identity
	MayConnect bool // the credentials are good for that

	// InForce returns a context that ends when the caller is none any more, with the reason as its cause. It is released when
	// the session is over.
	InForce func(context.Context) (ctx context.Context, release context.CancelFunc)
}

// ServeHTTP implements http.Handler.
func (c *Connector) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c.admit(w, r, targetOf, func(v *admitted) {
		c.connect(v.Visit, c.pick(v, r), newTunnel(w, r, v.connection))
	})
}

// An admitted client has proven who it is.
type admitted struct {
	*gateway.Visit
	name       jackfield.Name
	connection *connection
	cancel     context.CancelCauseFunc // of all that comes of the visit
}

// admit begins the visit that a request is, and has it served for as long as the client is who it has proven to be.
func (c *Connector) admit(w http.ResponseWriter, r *http.Request, target targetReader, serve func(*admitted)) {
	conn := r.Context().Value(connectionKey{}).(*connection)
	ctx, cancel := context.WithCancelCause(conn.ctx) // not the request's, which a client ends that has nothing to send
	defer cancel(nil)
	visit, err := c.Gateway.Admit(ctx, c.Listener, conn.client.Source, conn.client.Local)
	if err != nil {
		refuseTunnel(w, r, err)
		return
	}
	defer visit.Leave()
	caller, name, err := c.identify(visit, r, target)
	if err != nil {
		err = visit.Refuse(err)
		visit.Leave()
		refuseTunnel(w, r, err)
		return
	}
	inForce, release := caller.InForce(ctx)
	defer release()
	defer context.AfterFunc(inForce, func() { cancel(context.Cause(inForce)) })()
	serve(&admitted{visit, name, conn, cancel})
}

// A targetReader finds the name in a request's target.
type targetReader func(*http.Request) (jackfield.Name, error)

// identify finds out who asks and for what, in this order: who is nobody learns nothing of names.
func (c *Connector) identify(visit *gateway.Visit, r *http.Request, target targetReader) (Caller, jackfield.Name, error) {
	caller, err := c.caller(r)
	if err != nil {
		return Caller{}, "", err
	}
	visit.Identify(caller.Identity)
	if !caller.MayConnect {
		return Caller{}, "", jackfield.Refuse(jackfield.Denied, "this needs a token of scope connect", nil)
	}
	name, err := target(r)
	return caller, name, err
}

// A destination is the service that a client asks for.
type destination struct {
	name   jackfield.Name
	picked bool // the client has named its station
}

// The fields by which a client leaves it to us which service of a station it wants, and is told.
const (
	pickField    = "Jackfield-Pick"
	serviceField = "Jackfield-Service"
)

// pick finds out which service the client asks for.
func (c *Connector) pick(v *admitted, r *http.Request) destination {
	if r.Header.Get(pickField) != "station" || v.name.Station() != "" || c.Listener.Service(v.name) != nil {
		return destination{name: v.name}
	}
	var found []jackfield.Name
	for _, name := range v.Visible() {
		if label, station, _ := strings.Cut(string(name), "."); station == string(v.name) && (label == "ssh" || label == "console") {
			found = append(found, name)
		}
	}
	if len(found) != 1 {
		return destination{name: v.name} // which is refused
	}
	return destination{found[0], true}
}

// connect opens the session and serves it. The tunnel is over when it returns.
func (c *Connector) connect(visit *gateway.Visit, to destination, t tunnel) {
	defer t.end()
	client, err := t.take()
	if err != nil {
		visit.Refuse(jackfield.Refuse(jackfield.Internal, "the connection cannot be taken over", err))
		return
	}
	session, err := visit.Open(string(to.name), client)
	if err != nil {
		visit.Leave() // who is being told takes nobody's place
		t.refuse(jackfield.AsError(err))
		return
	}
	if err := t.accept(to); err != nil {
		session.Abort(err)
		return
	}
	session.Serve()
}

// targetOf returns the name in a target of the form name:port. net/http has decoded nothing of RequestURI.
func targetOf(r *http.Request) (jackfield.Name, error) {
	const sentence = "the target of CONNECT is the name of a service and any port, such as console.fpga-1:1"
	colon := strings.LastIndexByte(r.RequestURI, ':')
	if colon < 0 {
		return "", jackfield.Refuse(jackfield.Invalid, sentence, nil)
	}
	if port, err := strconv.ParseUint(r.RequestURI[colon+1:], 10, 16); err != nil || port == 0 {
		return "", jackfield.Refuse(jackfield.Invalid, sentence, nil)
	}
	name, err := jackfield.ParseName(r.RequestURI[:colon])
	if err != nil {
		return "", jackfield.Refuse(jackfield.Invalid, sentence, err)
	}
	return name, nil
}

// statusOf is what a refusal is in HTTP.
func statusOf(refusal *jackfield.Error) int {
	if inHTTP := new(httpError); errors.As(refusal.Details, &inHTTP) {
		return inHTTP.status
	}
	return cmp.Or(map[jackfield.Kind]int{
		jackfield.Invalid:         http.StatusBadRequest,
		jackfield.Denied:          http.StatusForbidden,
		jackfield.NotFound:        http.StatusNotFound,
		jackfield.Unauthenticated: http.StatusProxyAuthRequired,
		jackfield.Busy:            http.StatusConflict,
		jackfield.Limited:         http.StatusTooManyRequests,
		jackfield.Unavailable:     http.StatusServiceUnavailable,
	}[refusal.Kind], http.StatusInternalServerError)
}

// An httpError is the detail of a refusal for which HTTP has words that are more to the point than those for its kind.
type httpError struct {
	error
	status     int
	proxyError string
}
