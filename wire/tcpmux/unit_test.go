package tcpmux

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
)

func TestReplies(t *testing.T) {
	for text, want := range map[string]string{
		"":                                 "\r\n",
		"Go":                               "Go\r\n",
		"two\r\nlines\tand":                "two  lines and\r\n",
		"a\x00b\x1b[2J\x7f":                "a?b?[2J?\r\n",
		"é\xff":                            "??\r\n",
		strings.Repeat("x", MaxText):       strings.Repeat("x", MaxText) + "\r\n",
		strings.Repeat("x", MaxText) + "y": strings.Repeat("x", MaxText) + "\r\n",
	} {
		for sign, write := range map[string]func(io.Writer, string) error{"+": WriteAccept, "-": WriteReject} {
			var w writes
			check(t, write(&w, text))
			if !slices.Equal(w, []string{sign + want}) {
				t.Errorf("%q was written as %q, want one write of %q", text, []string(w), sign+want)
			}
		}
	}
}

// writes records each write.
type writes []string

func (w *writes) Write(p []byte) (int, error) {
	*w = append(*w, string(p))
	return len(p), nil
}

func TestWriteHelp(t *testing.T) {
	var b bytes.Buffer
	check(t, WriteHelp(&b, []string{"b", "HELP", "A", "help", "helper"}))
	if got, want := b.String(), "b\r\nA\r\nhelper\r\n"; got != want {
		t.Errorf("list %q, want %q", got, want)
	}
	for _, name := range badNames {
		if err := WriteHelp(io.Discard, []string{"good", name}); !errors.Is(err, ErrName) {
			t.Errorf("name %q: error %v, want %v", name, err, ErrName)
		}
	}
}

var badNames = []string{"", "a\nb", "a\rb", "a\x00", strings.Repeat("a", MaxName+1)}

func TestOpenRefusesBadNames(t *testing.T) {
	for _, name := range append([]string{"Help"}, badNames...) {
		var conn writesConn
		if _, _, err := Open(context.Background(), &conn, name); !errors.Is(err, ErrName) {
			t.Errorf("name %q: error %v, want %v", name, err, ErrName)
		}
		if len(conn.writes) > 0 {
			t.Errorf("name %q: %q was sent", name, conn.writes)
		}
	}
}

// TestOpenWritesOnce: some servers read the name with a single read.
func TestOpenWritesOnce(t *testing.T) {
	conn := writesConn{reply: strings.NewReader("+\r\n")}
	_, _, err := Open(context.Background(), &conn, "Name")
	check(t, err)
	if !slices.Equal(conn.writes, []string{"Name\r\n"}) {
		t.Errorf("writes %q", conn.writes)
	}
}

type writesConn struct {
	net.Conn
	writes
	reply io.Reader
}

func (c *writesConn) Read(p []byte) (int, error)  { return c.reply.Read(p) }
func (c *writesConn) Write(p []byte) (int, error) { return c.writes.Write(p) }

func TestFold(t *testing.T) {
	for name, want := range map[string]string{
		"":                  "",
		"time":              "time",
		"Time-ABCZ":         "time-abcz",
		"[\\]^_`@":          "[\\]^_`@",
		"\u212aelvin ſcp É": "\u212aelvin ſcp É",
		"\xffA\x00":         "\xffa\x00",
	} {
		if got := Fold(name); got != want {
			t.Errorf("Fold(%q) = %q, want %q", name, got, want)
		}
	}
}

// TestRestKeepsAbilities: half-close, and the way to the socket, survive.
func TestRestKeepsAbilities(t *testing.T) {
	for _, tr := range transports {
		t.Run(tr.name, func(t *testing.T) {
			client, server := tr.listen(t)()
			defer client.Close()
			defer server.Close()
			go io.WriteString(client, "name\r\nDATA")
			_, rest, err := ReadName(server, 0)
			check(t, err)
			for _, rest := range []net.Conn{rest, SkipNUL(rest)} {
				if _, ok := rest.(closeWriter); !ok {
					t.Errorf("%T has no CloseWrite", rest)
				}
			}
			for rest != net.Conn(server) {
				below, ok := rest.(interface{ NetConn() net.Conn })
				if !ok {
					t.Fatalf("%T has no NetConn", rest)
				}
				rest = below.NetConn()
			}
		})
	}
	pipe, _ := net.Pipe()
	defer pipe.Close()
	for _, rest := range []net.Conn{SkipNUL(pipe), withPrefix(pipe, []byte("x"))} {
		if _, ok := rest.(closeWriter); ok {
			t.Errorf("%T has CloseWrite, the pipe below has not", rest)
		}
	}
}
