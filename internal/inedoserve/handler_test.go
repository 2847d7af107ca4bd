//go:build unix

package inedoserve

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"jackfield/wire/inedo"
)

func TestHandlerServesAllConnections(t *testing.T) {
	for name, m := range modes() {
		t.Run(name, func(t *testing.T) {
			f := start(t, Options{Protocol: inedo.AgentConfig{Options: m.agent}, Handlers: []Handler{program("pid")}})
			first := dial(t, f, inedo.ClientConfig{Options: m.client})
			first.send(t, 99, "")
			first.send(t, 200, "")
			f.log.await(t, "nobody knows the command", 2)
			if strings.Contains(f.log.String(), "handler started") {
				t.Fatal("started before its first message")
			}
			pid := first.ask(t, 100, "")
			if second := dial(t, f, inedo.ClientConfig{Options: m.client}).ask(t, 199, ""); second != pid {
				t.Errorf("processes %s and %s", pid, second)
			}
		})
	}
}

func TestRangesOfHandlers(t *testing.T) {
	low, high := program("upper"), program("pid")
	low.First, low.Last = -5, -3
	f := start(t, Options{Handlers: []Handler{high, low}})
	c := dial(t, f, inedo.ClientConfig{})
	if got := c.ask(t, -4, "abc"); got != "ABC" {
		t.Errorf("%q", got)
	}
	if got := c.ask(t, 150, "abc"); got == "ABC" {
		t.Errorf("%q", got)
	}
}

func TestLongData(t *testing.T) {
	f := start(t, Options{Handlers: []Handler{program("upper")}})
	c := dial(t, f, inedo.ClientConfig{})
	for _, size := range []int{0, 1, 64 << 10, 5 << 20} {
		if got := c.ask(t, 100, strings.Repeat("x", size)); got != strings.Repeat("X", size) {
			t.Errorf("%d bytes came back of %d", len(got), size)
		}
	}
}

// Answers find their connections, whoever else asks.
func TestManyConnections(t *testing.T) {
	f := start(t, Options{Handlers: []Handler{program("upper")}})
	var asking sync.WaitGroup
	for i := range 20 {
		c := dial(t, f, inedo.ClientConfig{})
		asking.Go(func() {
			for j := range 50 {
				text := fmt.Sprintf("connection %d message %d", i, j)
				if c.Send(100, []byte(text)) != nil {
					t.Error("cannot send")
					return
				}
				if m, err := c.Receive(); err != nil || string(m.Data) != strings.ToUpper(text) {
					t.Errorf("%q, %v", m.Data, err)
					return
				}
			}
		})
	}
	asking.Wait()
}

func TestHandlerIsToldOfEnds(t *testing.T) {
	f := start(t, Options{Handlers: []Handler{program("ended")}})
	first, stays := dial(t, f, inedo.ClientConfig{}), dial(t, f, inedo.ClientConfig{})
	first.ask(t, 100, "")
	if got := stays.ask(t, 100, ""); got != "" {
		t.Fatalf("ended: %q", got)
	}
	dial(t, f, inedo.ClientConfig{}).Close() // the handler has never heard of it
	first.Close()
	eventually(t, "the handler knows", func() bool { return stays.ask(t, 100, "") != "" })
	if got := stays.ask(t, 100, ""); got != "1" {
		t.Errorf("ended: %q", got)
	}
}

func TestHandlerEndsConnection(t *testing.T) {
	for name, m := range modes() {
		t.Run(name, func(t *testing.T) {
			f := start(t, Options{Protocol: inedo.AgentConfig{Options: m.agent}, Handlers: []Handler{program("hangs up")}})
			c := dial(t, f, inedo.ClientConfig{Options: m.client})
			if got := c.ask(t, 100, "bye"); got != "BYE" {
				t.Errorf("%q", got)
			}
			if _, err := c.Receive(); err != io.EOF {
				t.Errorf("then %v", err)
			}
		})
	}
}

func TestMessagesForStrangersAreIgnored(t *testing.T) {
	f := start(t, Options{Handlers: []Handler{program("strangers")}})
	c := dial(t, f, inedo.ClientConfig{})
	for range 3 {
		if got := c.ask(t, 100, "abc"); got != "ABC" {
			t.Errorf("%q", got)
		}
	}
	f.log.await(t, "there is no such connection", 8)
}

// Whatever a handler does wrong ends its process and the connections it spoke for; the next one gets a new process.
func TestFaults(t *testing.T) {
	for name, test := range map[string]struct{ answer, logged string }{
		"once":          {"ABC", `msg="handler ended"`},
		"fails":         {"", "exit status 3"},
		"exits at once": {"", `msg="handler ended"`},
		"too long":      {"", "a frame says 1048577 bytes of data, 1048576 are allowed"},
		"too negative":  {"", "a frame says -2 bytes"},
		"2 GiB":         {"", "a frame says 2147483647 bytes"},
		"garbage":       {"", "a frame says -286331154 bytes"},
		"cut":           {"", "ends within a frame"},
		"cut header":    {"", "ends within a frame"},
		"closes input":  {"ABC", `msg="handler ended"`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := Options{Handlers: []Handler{program(name)}, RootPath: "/srv", pause: time.Millisecond}
			o.Protocol.MaxData = 1 << 20
			f := start(t, o)
			other := dial(t, f, inedo.ClientConfig{}) // speaks to no handler
			for run := range 2 {
				c := dial(t, f, inedo.ClientConfig{})
				var got []byte
				for c.Send(100, []byte("abc")) == nil {
					m, err := c.Receive()
					if err != nil {
						break
					}
					got = append(got, m.Data...)
				}
				if string(got) != test.answer {
					t.Errorf("got %q", got)
				}
				f.log.await(t, `msg="handler started"`, run+1)
				f.log.await(t, test.logged, run+1)
			}
			other.ask(t, inedo.CommandGetAgentRootPath, "\x01")
		})
	}
}

// A program that fails is not started again at once: who needs it waits.
func TestStartsAreFarBetween(t *testing.T) {
	f := start(t, Options{Handlers: []Handler{program("fails")}, pause: time.Hour})
	c := dial(t, f, inedo.ClientConfig{})
	c.send(t, 100, "")
	if _, err := c.Receive(); err != io.EOF {
		t.Fatalf("%v", err)
	}
	dial(t, f, inedo.ClientConfig{}).send(t, 100, "")
	f.log.await(t, `msg="message for a handler" connection=2`, 1)
	f.stop()
	if starts := strings.Count(f.log.String(), "handler started"); starts != 1 {
		t.Errorf("%d starts", starts)
	}
}

func TestProgramThatVanished(t *testing.T) {
	path := filepath.Join(t.TempDir(), "program")
	f := start(t, Options{Handlers: []Handler{{First: 1, Last: 1, Path: path}}})
	c := dial(t, f, inedo.ClientConfig{})
	c.send(t, 1, "")
	if _, err := c.Receive(); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("the connection goes on: %v", err)
	}
	f.log.await(t, "handler cannot be started", 1)
}

// A process is kept while there are connections, and for a while after.
func TestKeep(t *testing.T) {
	f := start(t, Options{Handlers: []Handler{program("pid")}, Keep: time.Millisecond, pause: time.Millisecond})
	c := dial(t, f, inedo.ClientConfig{})
	pid := c.ask(t, 100, "")
	second := dial(t, f, inedo.ClientConfig{})
	second.ask(t, 100, "")
	second.Close()
	f.log.await(t, `msg="client gone" connection=2`, 1)
	if again := c.ask(t, 100, ""); again != pid {
		t.Fatalf("processes %s and %s", pid, again)
	}
	c.Close()
	f.log.await(t, `msg="handler ended"`, 1)
	if next := dial(t, f, inedo.ClientConfig{}).ask(t, 100, ""); next == pid {
		t.Error("the process is still there")
	}

	kept := start(t, Options{Handlers: []Handler{program("pid")}, Keep: time.Hour})
	c = dial(t, kept, inedo.ClientConfig{})
	pid = c.ask(t, 100, "")
	c.Close()
	kept.log.await(t, `msg="client gone" connection=1`, 1)
	if next := dial(t, kept, inedo.ClientConfig{}).ask(t, 100, ""); next != pid {
		t.Error("the process was not kept")
	}
}

// A handler that does not read makes its clients wait, nobody else, and does not keep the agent from ending.
func TestBackPressure(t *testing.T) {
	f := start(t, Options{Handlers: []Handler{program("deaf")}, RootPath: "/srv"})
	c := dial(t, f, inedo.ClientConfig{})
	c.ask(t, 100, "begin")
	c.SetDeadline(time.Now().Add(time.Second))
	sent, block := 0, make([]byte, 64<<10)
	for c.Send(100, block) == nil {
		if sent += len(block); sent > 64<<20 {
			t.Fatal("it takes everything")
		}
	}
	dial(t, f, inedo.ClientConfig{}).ask(t, inedo.CommandGetAgentRootPath, "\x01")
	f.stop()
}

// A client that does not read takes a bounded amount of memory, and does not keep the agent from ending.
func TestClientThatDoesNotRead(t *testing.T) {
	f := start(t, Options{Handlers: []Handler{program("floods")}})
	c := dial(t, f, inedo.ClientConfig{})
	c.ask(t, 100, "") // and reads no more
	f.stop()
}

// The whole process group ends, also what ignores SIGTERM.
func TestGroupEnds(t *testing.T) {
	fifo := filepath.Join(t.TempDir(), "fifo")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	f := start(t, Options{Handlers: []Handler{program("family")}, grace: 300 * time.Millisecond})
	dial(t, f, inedo.ClientConfig{}).ask(t, 100, fifo)
	child, err := os.Open(fifo) // waits for the child
	if err != nil {
		t.Fatal(err)
	}
	defer child.Close()
	if err := child.SetReadDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	ready := make([]byte, len("ready\n"))
	if _, err := io.ReadFull(child, ready); err != nil || string(ready) != "ready\n" {
		t.Errorf("the child: %q, %v", ready, err)
	}
	f.stop()
	if said, err := io.ReadAll(child); err != nil || len(said) > 0 {
		t.Errorf("the child then: %q, %v", said, err)
	}
}

func TestStubbornProgramIsKilled(t *testing.T) {
	f := start(t, Options{Handlers: []Handler{program("stubborn")}, grace: 300 * time.Millisecond})
	dial(t, f, inedo.ClientConfig{}).ask(t, 100, "")
	f.stop() // it would take an hour
}

func TestParseHandler(t *testing.T) {
	for text, want := range map[string]string{
		"7=sh":                          "7 7 []",
		"0x4A460000-0x4A46FFFF=sh -c x": "1246101504 1246167039 [-c x]",
		"0xFFFFFFFE-0xFFFFFFFF=sh":      "-2 -1 []",
		"-5--3= sh  a=b ":               "-5 -3 [a=b]",
		"1-2=nosuchprogram":             `exec: "nosuchprogram": executable file not found in $PATH`,
		"2-1=sh":                        "the range 2-1 is empty: its end comes first",
		"1-=sh":                         `"" is no command code, which is an int32 such as 3 or 0x4A460000`,
		"4294967295=sh":                 `"4294967295" is no command code, which is an int32 such as 3 or 0x4A460000`,
		"0x100000000=sh":                `"0x100000000" is no command code, which is an int32 such as 3 or 0x4A460000`,
		"sh":                            `"sh" is not CODE=PROGRAM or CODE-CODE=PROGRAM`,
		"=sh":                           `"=sh" is not CODE=PROGRAM or CODE-CODE=PROGRAM`,
		"1= ":                           `"1= " is not CODE=PROGRAM or CODE-CODE=PROGRAM`,
	} {
		h, err := ParseHandler(text)
		got := fmt.Sprint(h.First, h.Last, h.Args)
		if err != nil {
			got = err.Error()
		} else if !filepath.IsAbs(h.Path) {
			t.Errorf("%s: path %q", text, h.Path)
		}
		if got != want {
			t.Errorf("%s: %s, not %s", text, got, want)
		}
	}
}

func TestHandlersThatCannotBeMeant(t *testing.T) {
	of := func(first, last int32) Handler { return Handler{First: first, Last: last, Path: "/bin/true"} }
	for name, o := range map[string]Options{
		"in common":      {Handlers: []Handler{of(20, 30), of(10, 20)}},
		"update":         {Handlers: []Handler{of(0, 10)}},
		"root path":      {Handlers: []Handler{of(3, 3)}, RootPath: "/srv"},
		"without a path": {Handlers: []Handler{{First: 7, Last: 7}}},
	} {
		o.Log = slog.New(slog.DiscardHandler)
		if _, err := New(o); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	f := start(t, Options{Handlers: []Handler{{First: 3, Last: 3, Path: os.Args[0], Args: program("upper").Args}}})
	if got := dial(t, f, inedo.ClientConfig{}).ask(t, 3, "abc"); got != "ABC" {
		t.Errorf("%q", got)
	}
}

func FuzzFrames(f *testing.F) {
	f.Add(append(header{1, 3, 7}.marshal(), "abc"...), true)
	f.Add(append(header{1, -1, 0}.marshal(), header{2, 0, 9}.marshal()...), false)
	f.Add(header{1, 1 << 30, 0}.marshal(), true)
	f.Add([]byte{1, 0, 0}, true)
	f.Fuzz(func(t *testing.T, wire []byte, read bool) {
		const max = 100
		frames := newFrameReader(bytes.NewReader(wire), max)
		var again []byte
		for {
			h, err := frames.next()
			if err != nil {
				break
			}
			if h.length < endOfConnection || h.length > max {
				t.Fatalf("a length of %d", h.length)
			}
			if !read {
				continue
			}
			data, err := frames.data()
			if err != nil {
				break
			}
			again = append(append(again, h.marshal()...), data...)
		}
		if !bytes.HasPrefix(wire, again) {
			t.Errorf("%x was read as %x", wire, again)
		}
	})
}
