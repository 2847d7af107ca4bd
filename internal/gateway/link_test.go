package gateway_test

import (
	"context"
	"errors"
	"net"
	"slices"
	"syscall"
	"testing"

	"jackfield"
)

// A link meets the outer checks, mappers included, and has an open and a close record.
func TestOpenLink(t *testing.T) {
	outer := []string{"global.limit", "listener.limit", "global.acl", "listener.acl", "global.mapper", "listener.mapper", "recorder"}
	for i, refused := range append(outer, "") {
		t.Run(refused, func(t *testing.T) {
			h := newHouse(t)
			h.refuse[refused] = true
			visit, err := h.Admit(t.Context(), h.listener, source, local)
			if err == nil {
				closed, openErr := visit.OpenLink("link meter-7")
				if err = openErr; err == nil {
					closed(jackfield.End{Cause: jackfield.EndFinished}, jackfield.Transfer{})
				}
				visit.Leave()
			}
			if want := outer[:min(i+1, len(outer))]; !slices.Equal(h.asked, want) {
				t.Errorf("asked %v, want %v", h.asked, want)
			}
			want := []string{"refuse"}
			if refused == "" {
				want = []string{"open", "close"}
			}
			if !slices.Equal(h.records, want) || (err == nil) != (refused == "") {
				t.Errorf("records %v, error %v", h.records, err)
			}
			if h.last.Route != "link meter-7" && i > 1 {
				t.Errorf("the record's route is %q", h.last.Route)
			}
			h.expectEmpty(t)
		})
	}
}

// A linkedStream is one whose far end resets it as soon as its link has ended, which is when it is read from.
type linkedStream struct {
	stream
	link context.Context
	end  context.CancelCauseFunc
}

func (s linkedStream) Bare() jackfield.Stream { return s }
func (s linkedStream) Link() context.Context  { return s.link }

func (s linkedStream) Read([]byte) (int, error) {
	s.end(errors.New("the agent was removed"))
	return 0, syscall.ECONNRESET
}

// The audit has why a link was ended, even if the agent resets its streams before they are cut here.
func TestLinkEndedFirst(t *testing.T) {
	h := newHouse(t)
	near, far := net.Pipe()
	h.service = far
	link, end := context.WithCancelCause(t.Context())
	h.stream = linkedStream{stream{near}, link, end}
	visit, session, err := h.visit(t, "other")
	if err != nil {
		t.Fatal(err)
	}
	session.Serve()
	visit.Leave()
	if why := h.last.End.Cause; why != "the agent was removed" {
		t.Errorf("ended by %q", why)
	}
	h.expectEmpty(t)
}

// A session whose client could not be told that it is open is reset for the service, too: it has asked for nothing.
func TestAbort(t *testing.T) {
	h := newHouse(t)
	near, far := net.Pipe()
	h.service = far
	service := &resettable{stream: stream{near}}
	h.stream = service
	visit, session, err := h.visit(t, "other")
	if err != nil {
		t.Fatal(err)
	}
	session.Abort(errors.New("gone"))
	visit.Leave()
	if !service.reset {
		t.Error("the service sees an end in order")
	}
	if end := h.last.End; end.Cause != jackfield.EndClientReset || end.Details != "gone" {
		t.Errorf("ended by %+v", end)
	}
	h.expectEmpty(t)
}

// resettable notes that it was reset.
type resettable struct {
	stream
	reset bool
}

func (r *resettable) SetLinger(seconds int) error {
	r.reset = seconds == 0
	return nil
}
