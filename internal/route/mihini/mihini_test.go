package mihini

import (
	"context"
	"errors"
	"testing"

	"jackfield"
	"jackfield/internal/link"
	"jackfield/wire/mihini"
)

func TestNew(t *testing.T) {
	for address, want := range map[string]string{
		"127.0.0.1:23": "127.0.0.1:23",
		":23":          "127.0.0.1:23",
		"[::1]:80":     "[::1]:80",
		"plc.lan:502":  "plc.lan:502",
	} {
		r, err := New(nil, "meter-7", address)
		if err != nil || r.String() != "mihini meter-7 "+want || len(r.Destinations()) != 1 || r.Destinations()[0] != want {
			t.Errorf("%s: %v, %v", address, r, err)
		}
	}
	for _, bad := range []string{"", "host", "host:0", "host:http", "host:65536", "unix:/run/x"} {
		if _, err := New(nil, "meter-7", bad); err == nil {
			t.Errorf("%q is an address", bad)
		}
	}
}

// failing is a table of devices in which nothing can be opened.
type failing struct{ err error }

func (f failing) Open(context.Context, string, mihini.Target) (*mihini.Stream, error) {
	return nil, f.err
}

func (failing) Connected(device string) bool { return device == "there" }

func TestReady(t *testing.T) {
	for device, ready := range map[string]bool{"there": true, "away": false} {
		r, _ := New(failing{}, device, ":23")
		if err := r.Ready(); (err == nil) != ready {
			t.Errorf("%s: %v", device, err)
		}
	}
}

func TestOpenFails(t *testing.T) {
	for err, kind := range map[error]jackfield.Kind{
		link.ErrNotConnected: jackfield.Unavailable,
		mihini.ErrLinkLost:   jackfield.Unavailable,
		mihini.ErrBusy:       jackfield.Limited,
		context.Canceled:     jackfield.Unavailable,
	} {
		r, _ := New(failing{err}, "meter-7", ":23")
		stream, got := r.Open(t.Context(), &jackfield.Request{})
		refusal := jackfield.AsError(got)
		if stream != nil || refusal.Kind != kind || !errors.Is(got, err) || refusal.Message == "" {
			t.Errorf("%v: %v", err, got)
		}
	}
}
