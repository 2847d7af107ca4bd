package https

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// says answers with a word.
func says(word string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, word) })
}

func TestCloseOfNothing(t *testing.T) {
	h := New(start(t, true, nil).Options)
	h.Close()
	h.Close()
}

// Requests that run end in their own time, and clients that keep connections go over to the next generation.
func TestCloseLetsRequestsEnd(t *testing.T) {
	t.Parallel()
	for _, h2 := range []bool{false, true} {
		t.Run(fmt.Sprint("HTTP/2 ", h2), func(t *testing.T) {
			entered, release := make(chan struct{}), make(chan struct{})
			h := start(t, false, func(o *Options) {
				o.HTTP = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if r.URL.Path == "/wait" {
						close(entered)
						<-release
						if err := r.Context().Err(); err != nil {
							t.Errorf("the running request's context: %v", err)
						}
					}
					io.WriteString(w, "old")
				})
			})
			running, keeping := h.client(h2), h.client(h2)
			if text, _ := get(t, keeping, h.url("/")); text != "old" {
				t.Fatalf("got %q", text)
			}
			var clients sync.WaitGroup
			clients.Go(func() {
				if answer, err := running.Get(h.url("/wait")); err != nil {
					t.Error(err)
				} else {
					defer answer.Body.Close()
					if text, err := io.ReadAll(answer.Body); string(text) != "old" || err != nil {
						t.Errorf("got %q, %v", text, err)
					}
				}
			})
			<-entered
			h.successor(says("new"))
			closed := make(chan struct{})
			go func() { h.Handler.Close(); close(closed) }()
			await(t, "an idle connection is closed", func() bool { return h.connections() == 1 })
			if text, _ := get(t, keeping, h.url("/")); text != "new" {
				t.Errorf("a client that keeps its connection got %q", text)
			}
			select {
			case <-closed:
				t.Error("Close has not waited")
			default:
			}
			close(release)
			clients.Wait()
			<-closed
			if text, _ := get(t, running, h.url("/")); text != "new" {
				t.Errorf("the client of the running request then got %q", text)
			}
		})
	}
}

func TestCloseCutsAfterGrace(t *testing.T) {
	for _, h2 := range []bool{false, true} {
		t.Run(fmt.Sprint("HTTP/2 ", h2), func(t *testing.T) {
			entered := make(chan struct{})
			h := start(t, false, func(o *Options) {
				o.Limits.Grace = 50 * time.Millisecond
				o.HTTP = http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
					close(entered)
					<-r.Context().Done()
				})
			})
			var clients sync.WaitGroup
			clients.Go(func() {
				if answer, err := h.client(h2).Get(h.url("/")); err == nil {
					answer.Body.Close()
					t.Error("an answer to a request that was cut")
				}
			})
			<-entered
			h.Handler.Close()
			clients.Wait()
		})
	}
}

// Event streams end at once, with a last word if their handler has one.
func TestCloseEndsEventStreams(t *testing.T) {
	for _, h2 := range []bool{false, true} {
		t.Run(fmt.Sprint("HTTP/2 ", h2), func(t *testing.T) {
			h := start(t, false, func(o *Options) {
				o.HTTP = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					w.Header().Set("Content-Type", "text/event-stream; charset=utf-8")
					io.WriteString(w, "data: begun\n\n")
					http.NewResponseController(w).Flush()
					<-r.Context().Done()
					if cause := context.Cause(r.Context()); !errors.Is(cause, ErrRetired) {
						t.Errorf("the stream's cause: %v", cause)
					}
					io.WriteString(w, "data: ended\n\n")
				})
			})
			answer, err := h.client(h2).Get(h.url("/"))
			if err != nil {
				t.Fatal(err)
			}
			defer answer.Body.Close()
			expect(t, answer.Body, "data: begun\n\n")
			h.Handler.Close()
			if rest, err := io.ReadAll(answer.Body); string(rest) != "data: ended\n\n" || err != nil {
				t.Errorf("got %q, %v", rest, err)
			}
		})
	}
}

// A client that has connected and sent nothing yet is served by the generation it came to.
func TestCloseServesWhoHasArrived(t *testing.T) {
	for _, plain := range []bool{true, false} {
		t.Run(fmt.Sprint("plain ", plain), func(t *testing.T) {
			h := start(t, plain, func(o *Options) { o.HTTP = says("old") })
			conn := h.dialHTTP()
			await(t, "the connection is there", func() bool { return h.connections() == 1 })
			h.successor(says("new"))
			closed := make(chan struct{})
			go func() { h.Handler.Close(); close(closed) }()
			<-h.retired.Done()
			io.WriteString(conn, smuggled)
			r := bufio.NewReader(conn)
			if status, text := readNext(t, r); status != 200 || text != "old" {
				t.Errorf("got %d %q", status, text)
			}
			if rest, err := io.ReadAll(r); err != nil || len(rest) > 0 {
				t.Errorf("after the answer: %q, %v", rest, err)
			}
			<-closed
		})
	}
}

// One that goes on sending nothing does not hold the generation.
func TestCloseLeavesTheSilent(t *testing.T) {
	t.Parallel()
	h := start(t, false, nil)
	conn := h.dialTLS(protocolH1)
	await(t, "the connection is there", func() bool { return h.connections() == 1 })
	h.Handler.Close()
	if n, err := conn.Read(make([]byte, 1)); n > 0 || err == nil {
		t.Error("the connection was left open")
	}
}

// When the server stops, handlers learn it and connections are closed, whatever they are about.
func TestStop(t *testing.T) {
	entered := make(chan struct{}, 2)
	h := start(t, false, func(o *Options) {
		o.HTTP = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/wait" {
				entered <- struct{}{}
				<-r.Context().Done()
			}
		})
	})
	h.dial()                            // in its handshake
	h.dialTLS(protocolH1)               // without a request
	get(t, h.client(false), h.url("/")) // idle
	get(t, h.client(true), h.url("/"))
	var clients sync.WaitGroup
	for _, h2 := range []bool{false, true} {
		clients.Go(func() {
			if answer, err := h.client(h2).Get(h.url("/wait")); err == nil {
				answer.Body.Close()
			}
		})
		<-entered
	}
	h.sockets.StopAccepting()
	h.stop()
	h.sockets.Wait()
	clients.Wait()
	if n := h.connections(); n != 0 {
		t.Errorf("%d places are taken", n)
	}
}

// No request is lost while generations change, other than those by a connection that closes at that moment, which clients
// send again.
func TestReloadsLoseNothing(t *testing.T) {
	t.Parallel()
	h := start(t, false, func(o *Options) { o.HTTP = says("here") })
	var clients, closing sync.WaitGroup
	defer clients.Wait()
	var changing atomic.Bool
	changing.Store(true)
	defer changing.Store(false)
	var served atomic.Int32
	for i := range 4 {
		client := h.client(i%2 == 0)
		if i >= 2 {
			client.Transport.(*http.Transport).DisableKeepAlives = true
		}
		clients.Go(func() {
			for changing.Load() {
				answer, err := client.Get(h.url("/"))
				if err != nil {
					t.Error(err)
					continue
				}
				text, err := io.ReadAll(answer.Body)
				answer.Body.Close()
				if err != nil || string(text) != "here" {
					t.Errorf("got %q, %v", text, err)
				}
				served.Add(1)
			}
		})
	}
	old := h.Handler
	for range 10 {
		before := served.Load()
		await(t, "this generation serves", func() bool { return served.Load() >= before+20 })
		next := h.successor(says("here"))
		closing.Go(old.Close)
		old = next
	}
	changing.Store(false)
	clients.Wait()
	closing.Wait()
	if strings.Contains(h.log.String(), "cut") {
		t.Error(h.log.String())
	}
}

// A header in the margin that net/http allows leaves the connection as any other.
func TestHeaderInTheMargin(t *testing.T) {
	h := start(t, true, nil)
	conn := h.dial()
	io.WriteString(conn, "GET / HTTP/1.1\r\nHost: localhost\r\nX-A: "+strings.Repeat("a", 66<<10)+"\r\n\r\n")
	if status, _ := readAnswer(t, conn); status != 200 {
		t.Fatalf("answered with %d", status)
	}
	h.Handler.Close()
	if n, err := conn.Read(make([]byte, 1)); n > 0 || err != io.EOF {
		t.Errorf("after Close: %d bytes, %v", n, err)
	}
}
