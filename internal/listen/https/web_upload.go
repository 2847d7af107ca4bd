package https

import (
	"errors"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
)

// An upload is the body of a request that is passed on. Unlike what net/http has, whoever waits for more of it can be
// interrupted.
type upload struct {
	body        io.ReadCloser
	ended       atomic.Bool // in order
	failed      atomic.Bool // and not because of us
	interrupted atomic.Bool

	mu      sync.Mutex // held while it is read
	stopped bool       // guarded by mu
}

func newUpload(r *http.Request) *upload {
	u := &upload{body: r.Body}
	u.ended.Store(r.ContentLength == 0)
	return u
}

var errStopped = errors.New("the request's body is not needed any more")

// Read implements io.Reader.
func (u *upload) Read(p []byte) (int, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.stopped {
		return 0, errStopped
	}
	n, err := u.body.Read(p)
	if err == io.EOF {
		u.ended.Store(true)
	} else if err != nil && !u.interrupted.Load() {
		u.failed.Store(true)
	}
	return n, err
}

// Close implements io.Closer. It does nothing: net/http closes the body itself, once nobody reads it.
func (*upload) Close() error { return nil }

// interrupt wakes who waits for more. The connection is good for no other request then.
func (u *upload) interrupt(control *http.ResponseController) {
	if !u.ended.Load() { // otherwise net/http itself is reading, to see whether the client is there
		u.interrupted.Store(true)
		control.SetReadDeadline(past)
	}
}

// stop ends reading. Nobody reads when it returns.
func (u *upload) stop(control *http.ResponseController) {
	u.interrupt(control)
	u.mu.Lock()
	defer u.mu.Unlock()
	u.stopped = true
}
