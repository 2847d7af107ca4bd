package https

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptrace"
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
	// answer is held back until then, see ending, so that who asks again finds the session's place free.
	serviceEnds = 100 * time.Millisecond

	// continueTimeout is how long a service may take to ask for a body that the client holds back until it is asked for.
	continueTimeout = time.Second

	// stuckTime is how long a connection of HTTP/2 may take to break one answer off before it is broken off itself.
	stuckTime = 500 * time.Millisecond
)

// The causes with which an exchange ends its session.
var (
	errFinished   = errors.New(jackfield.EndFinished)
	errClientGone = errors.New(jackfield.EndClientReset)
	errFault      = errors.New("no valid answer")
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
	named   *namedFields

	lost atomic.Bool   // the client takes nothing more, or was not understood
	over chan struct{} // closed when the session has ended
	end  jackfield.End // set before

	mu    sync.Mutex // guards what follows
	begun bool       // the answer has
	cut   bool       // the session was, before the answer was complete
	hints hints      // that came before it

	ending   ending      // of the answer
	switched *switched   // the client's connection, if it speaks another protocol now
	fault    error       // of the service
	stuck    *time.Timer // for a connection of HTTP/2 that takes nothing, not even that a stream is over
}

func newExchange(v *admitted, w http.ResponseWriter, r *http.Request, far *farEnd) *exchange {
	x := &exchange{
		ResponseWriter: w, control: http.NewResponseController(w), visit: v,
		upload: newUpload(r), far: far, named: &namedFields{farEnd: far}, over: make(chan struct{}),
		ending: ending{rest: -1},
	}
	x.request = r.WithContext(httptrace.WithClientTrace(r.Context(), &httptrace.ClientTrace{Got1xxResponse: x.hinted}))
	x.request.Body = x.upload
	return x
}

// run passes the request on and the answer back, and returns when the session has ended and its place is free. It panics with
// http.ErrAbortHandler if the answer has to be broken off.
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
	if x.begun || x.hints.writing {
		x.breakOff()
	}
}

// breakOff ends the answer.
func (x *exchange) breakOff() {
	client := x.visit.connection.client
	if x.request.ProtoMajor == 1 {
		client.Reset()
		return
	}
	x.control.SetWriteDeadline(past)
	if x.stuck == nil {
		x.stuck = time.AfterFunc(stuckTime, client.Reset)
	}
}

// unstick is for when nobody writes any more.
func (x *exchange) unstick() {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.stuck != nil {
		x.stuck.Stop()
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
	case x.fault != nil:
		x.visit.cancel(errFault)
	default:
		x.far.CloseWrite()
		defer time.AfterFunc(serviceEnds, func() { x.visit.cancel(errFinished) }).Stop()
	}
	<-x.over
	x.unstick()
	x.visit.Leave() // before the client can know that it may ask again
	if complete && len(x.ending.last) > 0 {
		x.ResponseWriter.Write(x.ending.last)
	}
	if x.switched != nil {
		x.switched.end()
	}
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
			return x.named, nil
		},
		Protocols: protocols, DisableKeepAlives: true, DisableCompression: true,
		MaxResponseHeaderBytes: serviceHeaderBytes, ExpectContinueTimeout: continueTimeout,
		WriteBufferSize: 32 << 10, // as much as is read at once
	}
}

var errOnce = errors.New("a session has one connection")

// WriteHeader implements http.ResponseWriter.
func (x *exchange) WriteHeader(status int) {
	if status < http.StatusOK {
		x.hint(status)
		return
	}
	x.begin()
	header := x.Header()
	if header["Content-Type"] == nil {
		header["Content-Type"] = nil // net/http makes none up
	}
	x.closeAfterBody()
	x.ending = endingOf(x.request, status, header)
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

// closeAfterBody has the connection closed after a request with chunks, see serveRequest, or with a body that is not all here:
// how much of it will have been read when the answer is complete, nobody knows.
func (x *exchange) closeAfterBody() {
	if x.request.ProtoMajor == 1 && (len(x.request.TransferEncoding) > 0 || !x.upload.ended.Load()) {
		x.Header().Set("Connection", "close")
	}
}

// Write implements http.ResponseWriter. The end of the answer waits for that of the session.
func (x *exchange) Write(p []byte) (int, error) {
	now := x.ending.keep(p)
	n, err := x.ResponseWriter.Write(now)
	if err != nil {
		x.lost.Store(true)
		return n, err
	}
	return len(p), nil
}

// FlushError is what http.ResponseController looks for.
func (x *exchange) FlushError() error {
	if x.ending.isHead() {
		return nil
	}
	return x.control.Flush()
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
	x.fault = err
	sentence := "the service has not answered in HTTP/1.1"
	if errors.Is(err, errPretends) {
		sentence = "the service answers 407, as if it were the proxy"
	}
	return jackfield.Refuse(jackfield.Unavailable, sentence, &httpError{err, http.StatusBadGateway, "http_protocol_error"})
}
