package command_test

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"jackfield"
	"jackfield/internal/relay"
	"jackfield/internal/route/command"
)

// An opened is a program in the relayed form, with nothing but a test in place of the relay.
type opened struct {
	jackfield.Program
	t      testing.TB
	cancel context.CancelCauseFunc
}

func open(t testing.TB, route *command.Route) *opened {
	t.Helper()
	ctx, cancel := context.WithCancelCause(context.Background())
	stream, err := route.Open(ctx, request())
	if err != nil {
		t.Fatal(err)
	}
	o := &opened{Program: stream.(jackfield.Program), t: t, cancel: cancel}
	o.SetDeadline(time.Now().Add(patience))
	t.Cleanup(func() { o.cancel(nil); o.Close(); o.Wait() })
	return o
}

func (o *opened) readAll() string {
	o.t.Helper()
	answer, err := io.ReadAll(o)
	if err != nil {
		o.t.Fatalf("after %q: %v", answer, err)
	}
	return string(answer)
}

func (o *opened) expect(text string) {
	o.t.Helper()
	b := make([]byte, len(text))
	if n, err := io.ReadFull(o, b); err != nil || string(b) != text {
		o.t.Fatalf("got %q, %v; want %q", b[:n], err, text)
	}
}

// A joined is a client and a program with the relay between them.
type joined struct {
	*opened
	client  *net.TCPConn
	live    relay.Counters
	running sync.WaitGroup
	end     jackfield.End
	details string
}

func join(t testing.TB, route *command.Route) *joined {
	t.Helper()
	j := &joined{}
	var server *net.TCPConn
	j.client, server = tcpPair(t)
	ctx, cancel := context.WithCancelCause(context.Background())
	stream, err := route.Open(ctx, request())
	if err != nil {
		t.Fatal(err)
	}
	program := stream.(jackfield.Program)
	j.opened = &opened{Program: program, t: t, cancel: cancel}
	j.running.Go(func() {
		j.end = relay.Join(ctx, server, program.Bare(), &j.live, relay.Options{})
		j.details = program.Wait()
	})
	t.Cleanup(func() { cancel(errors.New("test is over")); j.running.Wait() })
	return j
}

func TestBareIsUnixConn(t *testing.T) {
	o := open(t, newRoute(t, command.Options{Command: []string{"/bin/cat"}}))
	if _, is := o.Bare().(*net.UnixConn); !is {
		t.Errorf("it is a %T", o.Bare())
	}
}

func TestHalfCloseRelayed(t *testing.T) {
	route := newRoute(t, command.Options{Command: []string{"/bin/cat"}})
	for range 100 {
		j := join(t, route)
		io.WriteString(j.client, "DATA")
		j.client.CloseWrite()
		answer, err := io.ReadAll(j.client)
		if string(answer) != "DATA" || err != nil {
			t.Fatalf("got %q, %v", answer, err)
		}
		j.running.Wait()
		if j.end.Cause != jackfield.EndFinished || j.details != "" {
			t.Fatalf("got %+v, %q", j.end, j.details)
		}
		if got, want := j.live.Transfer(), (jackfield.Transfer{FromClient: 4, FromService: 4}); got != want {
			t.Fatalf("transfer is %v", got)
		}
	}
}

// Until Bare the program waits, and one that is closed instead never runs.
func TestRelayedWaits(t *testing.T) {
	trace := publicDir(t) + "/started"
	route := newRoute(t, command.Options{Command: shell("echo > " + trace)})
	o := open(t, route)
	o.Close()
	if details := o.Wait(); details != "the program was not started" {
		t.Errorf("got %q", details)
	}
	if _, err := o.Read(make([]byte, 1)); err == nil {
		t.Error("a closed stream can be read")
	}
	if exists(trace) {
		t.Error("the program ran")
	}
}

func TestRelayedCancelBeforeBare(t *testing.T) {
	trace := publicDir(t) + "/started"
	o := open(t, newRoute(t, command.Options{Command: shell("echo > " + trace)}))
	o.cancel(errors.New("shutdown"))
	conn := o.Bare()
	if details := o.Wait(); details != "the program was not started" || exists(trace) {
		t.Errorf("got %q", details)
	}
	if _, err := conn.Read(make([]byte, 1)); err == nil {
		t.Error("a closed stream can be read")
	}
}

// What the leader wrote is delivered, then comes the end: neither a child with the pair nor unread input changes that.
func TestRelayedEnd(t *testing.T) {
	for name, script := range map[string]string{
		"plain":        "head -c 100000 /dev/zero; exit 2",
		"unread input": "exec <&-; head -c 100000 /dev/zero; exit 2",
		"child":        "(trap '' TERM; while :; do sleep 1000; done) & head -c 100000 /dev/zero; exit 2",
		"daemon":       "setsid sleep 0.3 & head -c 100000 /dev/zero; exit 2",
	} {
		t.Run(name, func(t *testing.T) {
			j := join(t, newRoute(t, command.Options{Command: shell(script), KillGrace: 100 * time.Millisecond}))
			io.WriteString(j.client, "nobody reads this")
			answer, err := io.ReadAll(j.client)
			if len(answer) != 100000 || err != nil {
				t.Fatalf("got %d bytes, %v", len(answer), err)
			}
			j.client.Close()
			j.running.Wait()
			if j.end.Cause != jackfield.EndFinished || j.details != "exit status 2" {
				t.Errorf("got %+v, %q", j.end, j.details)
			}
			eventually(t, "the daemon ended, too", func() bool {
				left, err := command.Survivors("inst-")
				return len(left) == 0 && err == nil
			})
		})
	}
}

func TestRelayedCancel(t *testing.T) {
	j := join(t, newRoute(t, command.Options{Command: shell("echo up; exec sleep 1000"), KillGrace: time.Minute}))
	b := make([]byte, 3)
	if _, err := io.ReadFull(j.client, b); err != nil {
		t.Fatal(err)
	}
	j.cancel(errors.New("disconnected by admin"))
	if !isReset(j.client) {
		t.Error("the client saw no reset")
	}
	j.running.Wait()
	if j.end.Cause != "disconnected by admin" || j.details != "killed by SIGTERM" {
		t.Errorf("got %+v, %q", j.end, j.details)
	}
}

// A program that does not end although its stream was closed is ended, in two graces at most.
func TestRelayedWait(t *testing.T) {
	for _, test := range []struct {
		script string
		grace  time.Duration
		want   string
	}{
		{"echo up; cat; exit 6", patience, "exit status 6"}, // it saw the end by itself
		{"echo up; exec sleep 1000", 200 * time.Millisecond, "killed by SIGTERM"},
		{"trap '' TERM; echo up; while :; do sleep 1000; done", 200 * time.Millisecond, "killed by SIGKILL"},
	} {
		o := open(t, newRoute(t, command.Options{Command: shell(test.script), KillGrace: test.grace}))
		o.expect("up\n")
		o.Bare().Close()
		if details := o.Wait(); details != test.want {
			t.Errorf("%s: got %q", test.script, details)
		}
	}
}

func TestRelayedNeverReads(t *testing.T) {
	o := open(t, newRoute(t, command.Options{Command: shell("sleep 1000"), KillGrace: 100 * time.Millisecond}))
	o.SetWriteDeadline(time.Now().Add(50 * time.Millisecond))
	if _, err := o.Write(make([]byte, 8<<20)); err == nil {
		t.Error("8 MiB went somewhere")
	}
	if details := o.Wait(); !strings.HasPrefix(details, "killed by SIG") {
		t.Errorf("got %q", details)
	}
}
