package api

import (
	"context"
	"errors"
	"testing"
)

// A server that stops also puts its configuration away; the streams say that it stops, whichever they notice first.
func TestStopIsWhatIsSaid(t *testing.T) {
	retired := errors.New("the configuration was replaced")
	s := New(Options{})
	ctx, cancel := context.WithCancelCause(t.Context())
	c := &call{server: s, ctx: ctx}
	if err := c.over(); err != nil {
		t.Errorf("before anything happened: %v", err)
	}
	cancel(retired)
	if err := c.over(); !errors.Is(err, retired) {
		t.Errorf("when the configuration was replaced: %v", err)
	}
	s.Stop("the server is stopping")
	if err := c.over(); err == nil || err.Error() != "the server is stopping" {
		t.Errorf("when the server stops: %v", err)
	}
}
