package https

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"jackfield"
	"jackfield/internal/gateway"
)

// A place is one for a session at a time. It is given back once it has been seen that the client is not at the end of its answer.
type place struct {
	taken atomic.Bool
	ended atomic.Pointer[chan struct{}] // closed when the client is
	early atomic.Int64                  // how often that was too early
}

func (p *place) Enter(context.Context, *jackfield.Request) (leave func(), err error) {
	if p.taken.Swap(true) {
		return nil, jackfield.Refuse(jackfield.Limited, "max_sessions is reached", nil)
	}
	return func() {
		select {
		case <-*p.ended.Load():
			p.early.Add(1)
		case <-time.After(20 * time.Millisecond):
		}
		p.taken.Store(false)
	}, nil
}

// expect returns what is to be closed when the next client is at the end of its answer.
func (p *place) expect() chan struct{} {
	ended := make(chan struct{})
	p.ended.Store(&ended)
	return ended
}

// The place of a session is free before its client can know that the answer is complete, however it can: who asks again at once
// finds it free.
func TestWebPlace(t *testing.T) {
	const text = "the whole answer"
	kinds := map[string]http.HandlerFunc{
		"length":   func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, text) },
		"one byte": func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "x") },
		"pieces": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", strconv.Itoa(3*len(text)))
			for range 3 {
				io.WriteString(w, text)
				http.NewResponseController(w).Flush()
			}
		},
		"chunks": func(w http.ResponseWriter, _ *http.Request) {
			http.NewResponseController(w).Flush()
			io.WriteString(w, text)
		},
		"no length":    func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Content-Length", "0") },
		"no content":   func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) },
		"not modified": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNotModified) },
		"a head": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", strconv.Itoa(len(text)))
		},
	}
	site := func(w http.ResponseWriter, r *http.Request) { kinds[r.URL.Query().Get("kind")](w, r) }
	eachWebDialect(t, site, func(t *testing.T, l *webLab) {
		p := new(place)
		l.listener.Services["site"].Levels = []gateway.Level{{Limit: p}}
		for kind := range kinds {
			for range 2 {
				ended := p.expect()
				method := http.MethodGet
				if kind == "a head" {
					method = http.MethodHead
				}
				answer := l.do(l.request(method, "http://site/?kind="+url.QueryEscape(kind), nil))
				if answer.StatusCode == http.StatusTooManyRequests {
					t.Fatalf("%s: who asked for one after the other was refused", kind)
				}
				if length := answer.ContentLength; length > 0 && method == http.MethodGet {
					io.ReadFull(answer.Body, make([]byte, length)) // who counts does not wait for the end of a stream
				} else {
					io.Copy(io.Discard, answer.Body)
				}
				close(ended)
				l.ends(jackfield.EndFinished)
				await(t, "the place is free", func() bool { return !p.taken.Load() })
				if n := p.early.Swap(0); n > 0 {
					t.Errorf("%s: the client knew before the place was free", kind)
				}
			}
		}
	})
}

// So it is where the client has ended its side of what followed an upgrade, and waits for the other one.
func TestWebPlaceUpgrade(t *testing.T) {
	for _, d := range webDialects[:2] {
		t.Run(d.name, func(t *testing.T) {
			t.Parallel()
			l := startWeb(t, d.plain, false, hello)
			p := new(place)
			l.listener.Services["raw"].Levels = []gateway.Level{{Limit: p}}
			for range 3 {
				ended := p.expect()
				client, service := l.upgrade()
				client.CloseWrite()
				expectEnd(t, service)
				pass(t, service, client, "after the client's end")
				service.CloseWrite()
				expectEnd(t, client)
				close(ended)
				l.ends(jackfield.EndFinished)
			}
			await(t, "the place is free", func() bool { return !p.taken.Load() })
			if n := p.early.Load(); n > 0 {
				t.Errorf("%d times the client knew before the place was free", n)
			}
		})
	}
}
