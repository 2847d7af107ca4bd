package backend

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"time"
)

// poll is how often a question that has no answer yet is asked again.
const poll = 2 * time.Millisecond

// Echo asks for an echo and takes the first byte of it: from then on the path is open from end to end.
func Echo(c net.Conn) error {
	b := []byte{opEcho}
	if _, err := c.Write(b); err != nil {
		return err
	}
	_, err := io.ReadFull(c, b)
	return err
}

// Send asks for n bytes of the pattern and then the end; for bytes without end if n is 0.
func Send(c net.Conn, n uint64) error { return ask(c, opSend, n) }

// Receive announces bytes up to the client's end; the service then answers with their SHA-256, 32 bytes, and ends.
func Receive(c net.Conn) error { return ask(c, opReceive, 0) }

// Discard announces bytes up to the client's end, which are only counted; the service then ends.
func Discard(c net.Conn) error { return ask(c, opDiscard, 0) }

// Finish asks for the Greeting and the service's end at once; what the client sends then is in the Outcome.
func Finish(c net.Conn, token uint64) error { return ask(c, opFinish, token) }

// Watch asks the service to note how the client's direction ends, and returns when it has begun to.
func Watch(c net.Conn, token uint64) error {
	if err := ask(c, opWatch, token); err != nil {
		return err
	}
	return acknowledged(c)
}

// Reset makes the service reset the connection.
func Reset(c net.Conn) error {
	if err := ask(c, opReset, 0); err != nil {
		return err
	}
	if err := acknowledged(c); err != nil {
		return err
	}
	_, err := c.Write([]byte{opReset})
	return err
}

func ask(c net.Conn, op byte, number uint64) error {
	_, err := c.Write(header(op, number))
	return err
}

func acknowledged(c net.Conn) error {
	_, err := io.ReadFull(c, make([]byte, 1))
	return err
}

// WaitOutcome asks the backend at address what it saw of the connection with this token, until it can tell.
func WaitOutcome(ctx context.Context, address string, token uint64) (Outcome, error) {
	var o Outcome
	err := until(ctx, func() (bool, error) {
		answer, err := question(ctx, address, opOutcome, token)
		if err != nil || len(answer) == 0 {
			return false, err
		}
		return true, json.Unmarshal(answer, &o)
	})
	if err != nil {
		return Outcome{}, fmt.Errorf("the service has not seen the connection end: %w", err)
	}
	return o, nil
}

// WaitQuiet waits until the backend at address has no connection left, so that one sample does not run into the next.
func WaitQuiet(ctx context.Context, address string) error {
	return until(ctx, func() (bool, error) {
		active, err := number(ctx, address, opActive)
		return active == 0, err
	})
}

// Discarded returns how many bytes the backend at address has got by Discard, over all connections since its start.
func Discarded(ctx context.Context, address string) (uint64, error) {
	return number(ctx, address, opDiscarded)
}

func number(ctx context.Context, address string, op byte) (uint64, error) {
	answer, err := question(ctx, address, op, 0)
	if err == nil && len(answer) != 8 {
		err = errors.New("the backend gave a short answer")
	}
	if err != nil {
		return 0, err
	}
	return binary.BigEndian.Uint64(answer), nil
}

// maxAnswer is the longest answer to a question, in bytes.
const maxAnswer = 4096

func question(ctx context.Context, address string, op byte, number uint64) ([]byte, error) {
	var d net.Dialer
	c, err := d.DialContext(ctx, "tcp4", address)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	defer context.AfterFunc(ctx, func() { _ = c.SetDeadline(time.Unix(1, 0)) })()
	if err := ask(c, op, number); err != nil {
		return nil, err
	}
	return io.ReadAll(io.LimitReader(c, maxAnswer))
}

func until(ctx context.Context, done func() (bool, error)) error {
	for {
		if ok, err := done(); ok || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(poll):
		}
	}
}
