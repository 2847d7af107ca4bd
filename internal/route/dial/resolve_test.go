package dial

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// silentResolver asks a name server that never answers. asked is called with each question. It is for a bubble: Go's
// resolver goes on asking for seconds of the bubble's time after nobody waits for it any more.
func silentResolver(t *testing.T, asked func()) *net.Resolver {
	t.Cleanup(func() { time.Sleep(time.Minute) })
	return &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
		asked()
		conn, _ := net.Pipe()
		return conn, nil
	}}
}

func TestOpenWithResolverThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const timeout = time.Second
		r := route(t, Options{
			Addresses: []string{"service.test.:80"},
			Timeout:   timeout,
			Resolver:  silentResolver(t, func() {}),
		})
		began := time.Now()
		_, err := r.Open(t.Context(), request)
		if took := time.Since(began); took != timeout {
			t.Errorf("Open took %v, want %v", took, timeout)
		}
		refusal := checkRefusal(t, err, sayNoName)
		if dns, ok := errors.AsType[*net.DNSError](refusal); !ok || !dns.IsTimeout {
			t.Errorf("details: %v, want a resolution that ran out of time", refusal.Details)
		}
	})
}

// An address that swallows everything leaves time for the next.
func TestOpenSharesTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		asked := make(chan time.Duration, 100)
		r := route(t, Options{
			Addresses: []string{"a.test.:80", "b.test.:80", "c.test.:80"},
			Timeout:   3 * time.Second,
			Resolver:  silentResolver(t, func() { asked <- time.Since(began) }),
		})
		_, err := r.Open(t.Context(), request)
		checkRefusal(t, err, sayNoName)
		var times []time.Duration
		for len(asked) > 0 {
			times = append(times, <-asked)
		}
		want := []time.Duration{0, time.Second, 2 * time.Second}
		if got := slices.Compact(times); !slices.Equal(got, want) {
			t.Errorf("the names were asked for at %v, want %v", got, want)
		}
	})
}

func TestOpenCancelledWhileResolving(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reason := errors.New("disconnected by admin")
		ctx, cancel := context.WithCancelCause(t.Context())
		defer cancel(nil)
		r := route(t, Options{
			Addresses: []string{"service.test.:80", "127.0.0.1:80"},
			Timeout:   time.Hour,
			Resolver:  silentResolver(t, func() { cancel(reason) }),
		})
		began := time.Now()
		_, err := r.Open(ctx, request)
		if checkRefusal(t, err, sayCancelled); !errors.Is(err, reason) {
			t.Errorf("Open: %v, want the cause in it", err)
		}
		if took := time.Since(began); took != 0 {
			t.Errorf("Open returned %v after the cancellation", took)
		}
	})
}

func TestOpenWithinCallersDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		r := route(t, Options{
			Addresses: []string{"service.test.:80"},
			Timeout:   time.Hour,
			Resolver:  silentResolver(t, func() {}),
		})
		began := time.Now()
		_, err := r.Open(ctx, request)
		checkRefusal(t, err, sayNoName)
		if took := time.Since(began); took != time.Second {
			t.Errorf("Open took %v, want 1s", took)
		}
	})
}

func TestOpenResolvesEachTime(t *testing.T) {
	service := listen(t, "tcp")
	_, port, _ := net.SplitHostPort(service.address)
	var questions atomic.Int32
	r := route(t, Options{
		Addresses: []string{net.JoinHostPort("service.test.", port)},
		Resolver: &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
			client, server := net.Pipe()
			go answer(server, &questions)
			return client, nil
		}},
	})
	for n := range int32(2) {
		stream, err := r.Open(t.Context(), request)
		if err != nil {
			t.Fatal(err)
		}
		exchange(t, stream, service.accept(t))
		stream.Close()
		if got := questions.Load(); got != n+1 {
			t.Errorf("%d questions after opening %d times", got, n+1)
		}
	}
}

// answer is a name server (RFC 1035, section 4) that knows one address, 127.0.0.1, for every name. It counts questions for
// an IPv4 address and has no answer to others.
func answer(conn net.Conn, questions *atomic.Int32) {
	defer conn.Close()
	var length [2]byte // of a message over a stream: section 4.2.2
	if _, err := io.ReadFull(conn, length[:]); err != nil {
		return
	}
	message := make([]byte, binary.BigEndian.Uint16(length[:]))
	if _, err := io.ReadFull(conn, message); err != nil {
		return
	}
	end := 12 // of the header; then the name's labels, a zero, type and class
	for message[end] != 0 {
		end += 1 + int(message[end])
	}
	end += 5
	reply := append([]byte(nil), message[:end]...)
	reply[2] |= 0x80                                // an answer
	copy(reply[6:], []byte{0, 0, 0, 0, 0, 0})       // no answer, authority or additional records yet
	if message[end-3] == 1 && message[end-4] == 0 { // type A
		questions.Add(1)
		reply[7] = 1
		reply = append(reply, 0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 127, 0, 0, 1)
	}
	conn.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(reply))), reply...))
}
