//go:build unix

package relay

import (
	"bytes"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"jackfield"
)

// exit closes the service's end as that of a program that has exited is closed: nothing in it is unread.
func exit(t *testing.T, service jackfield.Stream) {
	t.Helper()
	must(t, service.(*net.UnixConn).CloseRead()) // on Linux what came before can still be read, and nothing follows it
	_, err := io.Copy(io.Discard, service)
	must(t, err)
	must(t, service.Close())
}

// chatter sends from s until that fails or the function returned is called.
func chatter(s jackfield.Stream) (stop func()) {
	over := make(chan struct{})
	var sending sync.WaitGroup
	sending.Go(func() {
		for {
			select {
			case <-over:
				return
			default:
				if _, err := s.Write([]byte("more")); err != nil {
					return
				}
			}
		}
	})
	return func() { close(over); sending.Wait() }
}

// A program that has answered and exited was not reset, whenever its client says something more.
func TestProgramExitsWhileTheClientSends(t *testing.T) {
	for range 60 {
		l := join(t, t.Context(), tcpPair, unixPair, Options{Program: true})
		stop := chatter(l.client)
		_, err := io.WriteString(l.service, "bye")
		must(t, err)
		exit(t, l.service)
		if answer, err := io.ReadAll(l.client); string(answer) != "bye" || err != nil {
			t.Fatalf("the client read %q, %v", answer, err)
		}
		stop()
		l.client.CloseWrite() // fails where the second is over that a client has for it
		if end := l.wait(); end != (jackfield.End{Cause: jackfield.EndFinished}) {
			t.Fatalf("end = %+v", end)
		}
	}
}

// A client that sends without end, and takes longer than a second for the answer, gets all of it.
func TestProgramsAnswerArrivesSlowly(t *testing.T) {
	t.Parallel()
	answer := randomBytes(1, 1<<20)
	l := join(t, t.Context(), tcpPair, unixPair, Options{Program: true})
	stop := chatter(l.client)
	defer stop()
	_, err := l.service.Write(answer)
	must(t, err)
	eventually(t, "the relay has the answer", func() bool {
		return l.live.Transfer().FromService == int64(len(answer))
	})
	exit(t, l.service)
	got, err := io.ReadAll(slow{l.client})
	if !bytes.Equal(got, answer) || err != nil {
		t.Errorf("%d of %d bytes arrived, then %v", len(got), len(answer), err)
	}
	if end := l.wait(); end != (jackfield.End{Cause: jackfield.EndFinished}) {
		t.Errorf("end = %+v", end)
	}
}

// A slow reader takes two seconds for a megabyte.
type slow struct{ io.Reader }

func (s slow) Read(p []byte) (int, error) {
	time.Sleep(2 * time.Second >> 6)
	return s.Reader.Read(p[:min(len(p), 16<<10)])
}
