//go:build linux

package gate

import (
	"context"
	"encoding/hex"
	"fmt"
	"io"

	"jackfield/bench/backend"
)

// request is how many bytes go the way that stays open, more than one segment.
const request = 64 << 10

// clientFinishesFirst sends a request and the end; the service answers only after that end.
func clientFinishesFirst(ctx context.Context, p Path) error { return upload(request)(ctx, p) }

// serviceFinishesFirst sees the service's end and then sends it something, and asks whether it arrived.
func serviceFinishesFirst(ctx context.Context, p Path) error {
	c, err := p.Dial(ctx)
	if err != nil {
		return err
	}
	defer c.Close()
	id := token()
	if err := backend.Finish(c, id); err != nil {
		return err
	}
	if greeting, err := io.ReadAll(c); err != nil || string(greeting) != backend.Greeting {
		return fmt.Errorf("the greeting came as %q: %v", greeting, err)
	}
	if err := backend.WritePattern(c, request); err != nil {
		return fmt.Errorf("sending after the service's end: %w", err)
	}
	if err := c.CloseWrite(); err != nil {
		return fmt.Errorf("ending after the service's end: %w", err)
	}
	got, err := backend.WaitOutcome(ctx, p.Service(), id)
	if err != nil {
		return err
	}
	want := backend.Outcome{Bytes: request, Sum: backend.PatternSum(request), End: backend.EndInOrder}
	if got != want {
		return fmt.Errorf("after its own end the service received %d of %d bytes, ended by %q", got.Bytes, want.Bytes, got.End)
	}
	return nil
}

// upload sends size bytes and the end, and compares the checksum that the service answers with.
func upload(size uint64) func(context.Context, Path) error {
	return func(ctx context.Context, p Path) error {
		c, err := p.Dial(ctx)
		if err != nil {
			return err
		}
		defer c.Close()
		if err := backend.Receive(c); err != nil {
			return err
		}
		if err := backend.WritePattern(c, size); err != nil {
			return err
		}
		if err := c.CloseWrite(); err != nil {
			return err
		}
		answer, err := io.ReadAll(c)
		if err != nil {
			return fmt.Errorf("the answer after the client's end: %w", err)
		}
		if got, want := hex.EncodeToString(answer), backend.PatternSum(size); got != want {
			return fmt.Errorf("the answer after the client's end is %q, not %q", got, want)
		}
		return nil
	}
}
