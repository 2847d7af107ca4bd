//go:build linux

package gate

import (
	"context"
	"errors"
	"fmt"
	"io"
	"syscall"

	"jackfield/bench/backend"
)

// clientResets resets its connection and asks whether the service saw a reset or an end in order.
func clientResets(ctx context.Context, p Path) error {
	c, err := p.Dial(ctx)
	if err != nil {
		return err
	}
	defer c.Close()
	id := token()
	if err := backend.Watch(c, id); err != nil {
		return err
	}
	if err := c.SetLinger(0); err != nil {
		return err
	}
	if err := c.Close(); err != nil {
		return err
	}
	got, err := backend.WaitOutcome(ctx, p.Service(), id)
	if err != nil {
		return err
	}
	if got.End != backend.EndReset {
		return fmt.Errorf("the service saw %q instead of a reset", got.End)
	}
	return nil
}

// serviceResets has the service reset the connection and looks what arrives.
func serviceResets(ctx context.Context, p Path) error {
	c, err := p.Dial(ctx)
	if err != nil {
		return err
	}
	defer c.Close()
	if err := backend.Reset(c); err != nil {
		return err
	}
	if _, err := io.ReadAll(c); !errors.Is(err, syscall.ECONNRESET) {
		return fmt.Errorf("the client saw %s instead of a reset", endName(err))
	}
	return nil
}

func endName(err error) string {
	if err == nil {
		return "an end in order"
	}
	return err.Error()
}
