package e2e

import (
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"syscall"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"jackfield/test/live"
)

var clientCommands = map[string]command{
	"dial":    dialClient,
	"send":    send,
	"receive": receive,
	"end":     endClient,
	"ended":   ended,
}

// A client is a TCP connection that is open while a script goes on.
type client struct {
	*net.TCPConn
	reset bool // before we had noticed that we were connected; then there is no connection
}

// connect dials. Nothing on the connection may take longer than a test has patience for, beginning now; see endure.
func connect(address string) (*client, error) {
	conn, err := net.DialTimeout("tcp", address, live.Patience)
	if errors.Is(err, syscall.ECONNRESET) {
		return &client{reset: true}, nil
	}
	if err != nil {
		return nil, err
	}
	c := &client{TCPConn: conn.(*net.TCPConn)}
	return c, c.endure()
}

// endure has patience begin anew.
func (c *client) endure() error { return c.SetDeadline(time.Now().Add(live.Patience)) }

func (c *client) close() {
	if !c.reset {
		c.Close()
	}
}

// read expects exactly these bytes.
func (c *client) read(want string) error {
	got := make([]byte, len(want))
	if n, err := io.ReadFull(c, got); err != nil {
		return fmt.Errorf("after %q of %q: %w", got[:n], want, err)
	}
	if string(got) != want {
		return fmt.Errorf("%q came, not %q", got, want)
	}
	return nil
}

// readEnd says how the other side ended: "FIN" or "RST".
func (c *client) readEnd() (string, error) {
	if c.reset {
		return "RST", nil
	}
	rest, err := io.ReadAll(io.LimitReader(c, 4096))
	switch {
	case len(rest) > 0:
		return "", fmt.Errorf("%q came before the end", rest)
	case err == nil:
		return "FIN", nil
	case errors.Is(err, syscall.ECONNRESET):
		return "RST", nil
	}
	return "", err
}

func dialClient(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, neg, args, 2, 2, "dial NAME ADDRESS")
	c, err := connect(args[1])
	ts.Check(err)
	ts.Defer(c.close)
	stateOf(ts).clients[args[0]] = c
}

func send(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, neg, args, 2, 2, "send NAME TEXT")
	_, err := io.WriteString(named(ts, args[0]), unescape(ts, args[1]))
	ts.Check(err)
}

func receive(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, neg, args, 2, 2, "receive NAME TEXT")
	ts.Check(named(ts, args[0]).read(unescape(ts, args[1])))
}

func endClient(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, neg, args, 1, 1, "end NAME")
	ts.Check(named(ts, args[0]).CloseWrite())
}

func ended(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, neg, args, 2, 2, "ended NAME FIN|RST")
	c := stateOf(ts).clients[args[0]]
	if !c.reset {
		ts.Check(c.endure())
	}
	how, err := c.readEnd()
	ts.Check(err)
	if how != args[1] {
		ts.Fatalf("%s ended with %s", args[0], how)
	}
}

func named(ts *testscript.TestScript, name string) *client {
	c := stateOf(ts).clients[name]
	if c == nil || c.reset {
		ts.Fatalf("there is no client %q", name)
	}
	ts.Check(c.endure())
	return c
}

func unescape(ts *testscript.TestScript, text string) string {
	unquoted, err := strconv.Unquote(`"` + text + `"`)
	ts.Check(err)
	return unquoted
}
