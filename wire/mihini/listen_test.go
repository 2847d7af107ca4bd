package mihini

import (
	"context"
	"errors"
	"io"
	"os"
	"strings"
	"testing"
	"time"
)

func TestM19Listen(t *testing.T) {
	for name, row := range map[string]struct {
		sent  []byte
		exact bool
		err   error
	}{
		"as it should be":   {frame(Listen, 0, ""), true, nil},
		"odd id":            {frame(Listen, 9, ""), false, nil},
		"payload":           {frame(Listen, 0, strings.Repeat("x", MaxPayload)), false, nil},
		"odd id, exact":     {frame(Listen, 9, ""), true, ErrMalformed},
		"payload, exact":    {frame(Listen, 0, "x"), true, ErrMalformed},
		"CONNECT":           {connectTo(0, "a", 1), false, ErrMalformed},
		"another protocol":  {[]byte("GET / HTTP/1.1\r\n\r\n"), false, ErrMalformed},
		"end":               {nil, false, io.EOF},
		"half a header":     {frame(Listen, 0, "")[:2], false, io.ErrUnexpectedEOF},
		"payload not whole": {frame(Listen, 0, "hello")[:6], false, io.EOF},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				near, far := memPair(1 << 20)
				defer near.Close()
				defer far.Close()
				for i := range row.sent { // it may come split
					far.Write(row.sent[i : i+1])
				}
				far.CloseWrite()
				server, err := Accept(t.Context(), near, ServerOptions{ExactListen: row.exact})
				if !errors.Is(err, row.err) || row.err != nil && (!errors.Is(err, ErrNoListen) || server != nil) {
					t.Errorf("%v, want %v", err, row.err)
				}
			})
		})
	}
}

// Nothing behind LISTEN is lost, and nobody waits for it for ever.
func TestM19ListenInTime(t *testing.T) {
	bubble(t, func(t *testing.T) {
		near, far := memPair(1 << 10)
		defer near.Close()
		defer far.Close()
		start := time.Now()
		_, err := Accept(t.Context(), near, ServerOptions{})
		waited := time.Since(start)
		if !errors.Is(err, ErrNoListen) || !errors.Is(err, os.ErrDeadlineExceeded) || waited != DefaultListenTimeout {
			t.Errorf("%v after %v", err, time.Since(start))
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := Accept(ctx, near, ServerOptions{}); err != context.DeadlineExceeded {
			t.Errorf("%v, want the context's cause", err)
		}
	})
}

func TestListenIsTheFirstFrame(t *testing.T) {
	bubble(t, func(t *testing.T) {
		_, server, _ := scriptedServer(t, DeviceOptions{}) // expects it
		server.quiet()
	})
}
