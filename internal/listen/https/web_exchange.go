package https

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httputil"
	"sync"
	"sync/atomic"
	"time"

	"jackfield"
	"jackfield/internal/gateway"
)

const (
	// serviceHeaderBytes is the most that the header of a service's answer may have.
	serviceHeaderBytes = 64 << 10

	// serviceEnds is how long a service may take to end its connection after its answer, as it was told to. The end of the
	// answer is held back until then, so that who asks again finds the session's place free.
	serviceEnds = 100 * time.Millisecond

	// continueTimeout is how long a service may take to ask for a body that the client holds back until it is asked for.
	continueTimeout = time.Second
)

// The causes with which an exchange ends its session.
var (
	errFinished   = errors.New(jackfield.EndFinished)
	errClientGone = errors.New(jackfield.EndClientReset)
)

// An exchange is one request and its answer, between a client and the session that is for the two. To ReverseProxy, which knows
// HTTP, it is the client.
type exchange struct {
	http.ResponseWriter
	control *http.ResponseController
	visit   *admitted
	request *http.Request
	upload  *upload // the request's body
	far     *farEnd // of the session

	lost atomic.Bool   // the client takes nothing more, or was not understood
	over chan struct{} // closed when the session has ended
	end  jackfield.End // set before

	mu    sync.Mutex // guards what follows
	begun bool       // the answer has
	cut   bool       // the session was, before the answer was complete
}

func newExchange(v *admitted, w http.ResponseWriter, r *http.Request, far *farEnd) *exchange {
	x := &exchange{
		ResponseWriter: w, control: http.NewResponseController(w), visit: v, request: r.WithContext(r.Context()),
		upload: newUpload(r), far: far, over: make(chan struct{}),
	}
	x.request.Body = x.upload
	return x
}

// run passes the request on and the answer back, and returns when the session has ended. It panics with http.ErrAbortHandler if
// the answer has to be broken off.
func (x *exchange) run(session *gateway.Session, proxy httputil.ReverseProxy) {
	go x.serve(session)
	complete := false
	defer func() { x.conclude(complete) }()
	x.control.EnableFullDuplex() // net/http would read the body itself before the answer; not an option of HTTP/2, which never does
	clear(x.Header())            // what is ours to say is not the service's
	proxy.Rewrite, proxy.ModifyResponse, proxy.ErrorHandler = x.rewrite, x.modify, x.fail
	proxy.Transport = x.transport()
	proxy.FlushInterval = -1
	proxy.ServeHTTP(x, x.request)
	complete = true
}

func (x *exchange) serve(session *gateway.Session) {
	defer close(x.over)
	x.end = session.Serve()
	switch x.end.Cause {
	case jackfield.EndFinished, jackfield.EndClientReset, jackfield.EndServiceReset: // as those who read and write find out
	default:
		x.cutOff()
	}
}

// cutOff ends what the client may still get: an answer that has begun, even if the client does not take it.
func (x *exchange) cutOff() {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.cut = true
	x.upload.interrupt(x.control)
	if x.begun {
		x.breakOff()
	}
}

func (x *exchange) breakOff() {
	if x.request.ProtoMajor == 1 {
		x.visit.connection.client.Reset()
	} else {
		x.control.SetWriteDeadline(past)
	}
}

// conclude ends the session, unless it has ended.
func (x *exchange) conclude(complete bool) {
	gone := x.lost.Load() || !complete && x.clientGone()
	x.upload.stop(x.control)
	switch {
	case x.far.broken():
	case gone:
		x.visit.cancel(errClientGone)
	default:
		x.far.CloseWrite()
		defer time.AfterFunc(serviceEnds, func() { x.visit.cancel(errFinished) }).Stop()
	}
	<-x.over
	if !complete && !x.request.ProtoAtLeast(1, 1) {
		x.breakOff() // the end of the connection would be that of the answer
	}
}

// clientGone says whether the client is known to have gone. (A read that we have interrupted ends the request's context, too.)
func (x *exchange) clientGone() bool {
	return x.lost.Load() || x.upload.failed.Load() || !x.upload.interrupted.Load() && x.request.Context().Err() != nil
}

// transport has the session for its only connection.
func (x *exchange) transport() *http.Transport {
	var dialled atomic.Bool
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	return &http.Transport{
		DialContext: func(context.Context, string, string) (net.Conn, error) {
			if dialled.Swap(true) {
				return nil, errOnce
			}
			return x.far, nil
		},
		Protocols: protocols, DisableKeepAlives: true, DisableCompression: true,
		MaxResponseHeaderBytes: serviceHeaderBytes, ExpectContinueTimeout: continueTimeout,
		WriteBufferSize: 32 << 10, // as much as is read at once
	}
}

var errOnce = errors.New("a session has one connection")

// rewrite completes the request to the service; ReverseProxy has removed what is between the client and us, and what the client
// says of proxies before it.
func (x *exchange) rewrite(r *httputil.ProxyRequest) {
	r.Out.URL.Scheme, r.Out.URL.Host = "http", r.In.Host
	r.Out.URL.RawQuery = r.In.URL.RawQuery
	if r.In.Method == http.MethodOptions && r.In.URL.Path == "" && r.In.URL.RawQuery == "" {
		r.Out.URL.Path = "*" // RFC 9112, section 3.2.4
	}
	r.Out.Trailer = r.In.Trailer // which is complete when the body is
	r.Out.Header.Add("Via", via(r.In.ProtoMajor, r.In.ProtoMinor))
}

func (x *exchange) modify(answer *http.Response) error {
	answer.Header.Add("Via", via(answer.ProtoMajor, answer.ProtoMinor))
	return nil
}

// via is our line in the list of proxies (RFC 9110, section 7.6.3).
func via(major, minor int) string { return fmt.Sprintf("%d.%d jackfield", major, minor) }

// WriteHeader implements http.ResponseWriter.
func (x *exchange) WriteHeader(status int) {
	if status < http.StatusOK {
		if x.request.ProtoAtLeast(1, 1) {
			x.ResponseWriter.WriteHeader(status)
		}
		return
	}
	x.begin()
	header := x.Header()
	if header["Content-Type"] == nil {
		header["Content-Type"] = nil // net/http makes none up
	}
	x.closeAfterChunks()
	x.ResponseWriter.WriteHeader(status)
}

// begin notes that the answer has begun.
func (x *exchange) begin() {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.begun = true
	if x.cut {
		x.breakOff()
	}
}

// closeAfterChunks has the connection closed after a request with chunks, see serveRequest.
func (x *exchange) closeAfterChunks() {
	if x.request.ProtoMajor == 1 && len(x.request.TransferEncoding) > 0 {
		x.Header().Set("Connection", "close")
	}
}

// Write implements http.ResponseWriter.
func (x *exchange) Write(p []byte) (int, error) {
	n, err := x.ResponseWriter.Write(p)
	if err != nil {
		x.lost.Store(true)
	}
	return n, err
}

// Unwrap is what http.ResponseController looks for.
func (x *exchange) Unwrap() http.ResponseWriter { return x.ResponseWriter }

// fail answers instead of the service.
func (x *exchange) fail(_ http.ResponseWriter, _ *http.Request, err error) {
	if !x.upload.failed.Load() && x.clientGone() {
		panic(http.ErrAbortHandler)
	}
	refusal := x.refusalOf(err)
	x.lost.Store(x.upload.failed.Load())
	refusal.ID = x.visit.ID()
	clear(x.Header())
	setHeaders(x.Header())
	refuseTunnel(x.ResponseWriter, x.request, refusal)
}

// refusalOf says why there is no answer of the service.
func (x *exchange) refusalOf(err error) *jackfield.Error {
	if x.upload.failed.Load() {
		return jackfield.Refuse(jackfield.Invalid, "the body of the request cannot be read", err)
	}
	if errors.Is(err, errCut) || x.upload.interrupted.Load() {
		<-x.over
		if x.end.Cause != jackfield.EndServiceReset {
			return jackfield.Refuse(jackfield.Unavailable, "the session was ended before the service had answered", err)
		}
	}
	return jackfield.Refuse(jackfield.Unavailable, "the service has not answered in HTTP/1.1",
		&httpError{err, http.StatusBadGateway, "http_protocol_error"})
}
