package tcpmux

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// serve is a whole TCPMUX server: "plussvc" echoes after our "+Go", "dedsvc" writes its own "+dedicated".
func serve(conn halfConn, timeout time.Duration) {
	defer conn.Close()
	name, rest, err := ReadName(conn, timeout)
	switch {
	case errors.Is(err, ErrTooLong):
		refuse(conn, "Service name too long")
		return
	case errors.Is(err, os.ErrDeadlineExceeded):
		refuse(conn, "No service name in time")
		return
	case errors.Is(err, io.ErrUnexpectedEOF):
		refuse(conn, "Service name without line end")
		return
	case err != nil:
		return
	}
	switch Fold(name) {
	case Help:
		WriteHelp(rest, []string{"plussvc", "help", "dedsvc"})
	case "plussvc":
		WriteAccept(rest, "Go")
		io.Copy(rest, rest)
	case "dedsvc":
		io.WriteString(rest, "+dedicated\r\n")
	default:
		refuse(conn, "Service not available")
	}
}

// refuse answers and waits until the client has read it.
func refuse(conn halfConn, text string) {
	WriteReject(conn, text)
	conn.CloseWrite()
	io.Copy(io.Discard, conn)
}

// The rows are those that were measured with xinetd, inetutils, the reference server of 1988 and tcpmuxa.
var goldenServer = []struct {
	name  string
	sent  []string // one write each, then half-close
	open  bool     // no half-close: the name's time runs out
	reply string
}{
	{name: "plus", sent: []string{"plussvc\r\n"}, reply: "+Go\r\n"},
	{name: "upper case", sent: []string{"PLUSSVC\r\n"}, reply: "+Go\r\n"},
	{name: "dedicated, mixed case", sent: []string{"DedSvc\r\n"}, reply: "+dedicated\r\n"},
	{name: "unknown", sent: []string{"nosuch\r\n"}, reply: notAvailable},
	{name: "help", sent: []string{"help\r\n"}, reply: "plussvc\r\ndedsvc\r\n"},
	{name: "HELP", sent: []string{"HELP\r\n"}, reply: "plussvc\r\ndedsvc\r\n"},
	{name: "empty line", sent: []string{"\r\n"}, reply: notAvailable},
	{name: "LF only", sent: []string{"\n"}, reply: notAvailable},
	{name: "name and LF", sent: []string{"plussvc\n"}, reply: "+Go\r\n"},
	{name: "CR and silence", sent: []string{"plussvc\r"}, open: true, reply: "-No service name in time\r\n"},
	{name: "CR and half-close", sent: []string{"plussvc\r"}, reply: "-Service name without line end\r\n"},
	{name: "split", sent: []string{"plus", "svc\r", "\n"}, reply: "+Go\r\n"},
	{name: "data in the same segment", sent: []string{"plussvc\r\nDATA"}, reply: "+Go\r\nDATA"},
	{name: "split, then glued", sent: []string{"plu", "ssvc\r\nDA", "TA"}, reply: "+Go\r\nDATA"},
	{name: "a line after the unknown name", sent: []string{"nosuch\r\nextra\r\n"}, reply: notAvailable},
	{name: "leading space", sent: []string{" plussvc\r\n"}, reply: notAvailable},
	{name: "trailing space", sent: []string{"plussvc \r\n"}, reply: notAvailable},
	{name: "prefix of a name", sent: []string{"plus\r\n"}, reply: notAvailable},
	{name: "longer than a name", sent: []string{"plussvcx\r\n"}, reply: notAvailable},
	{name: "plus sign", sent: []string{"+plussvc\r\n"}, reply: notAvailable},
	{name: "NUL", sent: []string{"plussvc\x00x\r\n"}, reply: notAvailable},
	{name: "two CR", sent: []string{"plussvc\r\r\n"}, reply: notAvailable},
	{name: "CR in the name", sent: []string{"plussvc\rx\r\n"}, reply: notAvailable},
	{name: "an empty line after the name", sent: []string{"plussvc\r\n\r\n"}, reply: "+Go\r\n\r\n"},
	{name: "high bytes", sent: []string{"\xff\xfe\x80\r\n"}, reply: notAvailable},
	{name: "256 bytes", sent: []string{strings.Repeat("a", 256) + "\r\n"}, reply: notAvailable},
	{name: "256 bytes, LF", sent: []string{strings.Repeat("a", 256) + "\n"}, reply: notAvailable},
	{name: "257 bytes", sent: []string{strings.Repeat("a", 257) + "\r\n"}, reply: tooLong},
	{name: "257 bytes, LF", sent: []string{strings.Repeat("a", 257) + "\n"}, reply: tooLong},
	{name: "1022 bytes", sent: []string{strings.Repeat("a", 1022) + "\r\n"}, reply: tooLong},
	{name: "1023 bytes", sent: []string{strings.Repeat("a", 1023) + "\r\n"}, reply: tooLong},
	{name: "10000 bytes", sent: []string{strings.Repeat("a", 10000) + "\r\n"}, reply: tooLong},
	{name: "100000 bytes, no LF", sent: []string{strings.Repeat("a", 100000)}, reply: tooLong},
	{name: "half-close, nothing sent", reply: ""},
	{name: "half-close within the name", sent: []string{"plussvc"}, reply: "-Service name without line end\r\n"},
	{name: "idle", open: true, reply: "-No service name in time\r\n"},
}

const (
	notAvailable = "-Service not available\r\n"
	tooLong      = "-Service name too long\r\n"
)

func TestServerGolden(t *testing.T) {
	overTransports(t, func(t *testing.T, connect pairs) {
		for _, row := range goldenServer {
			t.Run(row.name, func(t *testing.T) {
				client, server := connect()
				timeout := time.Minute
				if row.open {
					timeout = 20 * time.Millisecond
				}
				var tasks sync.WaitGroup
				tasks.Go(func() { serve(server, timeout) })
				tasks.Go(func() {
					for _, chunk := range row.sent {
						io.WriteString(client, chunk)
					}
					if !row.open {
						client.CloseWrite()
					}
				})
				reply, err := io.ReadAll(client)
				if err != nil || string(reply) != row.reply {
					t.Errorf("reply %q, %v; want %q", reply, err, row.reply)
				}
				client.Close()
				tasks.Wait()
			})
		}
	})
}

// What real servers send, and what the client makes of it.
var goldenReplies = []struct {
	name    string
	reply   string // then the server ends the stream
	skipNUL bool
	text    string
	service string
	err     error // for errors.Is
	refused string
}{
	{name: "xinetd", reply: "+Go\r\n\x00data", text: "Go", service: "\x00data"},
	{name: "xinetd, skipped", reply: "+Go\r\n\x00data", skipNUL: true, text: "Go", service: "data"},
	{name: "xinetd, only one skipped", reply: "+Go\r\n\x00\x00\x00", skipNUL: true, text: "Go", service: "\x00\x00"},
	{name: "xinetd, silent service", reply: "+Go\r\n\x00", skipNUL: true, text: "Go"},
	{name: "nothing to skip", reply: "+Go\r\nx\x00", skipNUL: true, text: "Go", service: "x\x00"},
	{name: "xinetd, unknown", reply: "-Service name not found\r\n\x00", refused: "Service name not found"},
	{name: "inetutils", reply: "+Go\r\ndata", text: "Go", service: "data"},
	{name: "inetutils, unknown", reply: "-Service not available\r\n", refused: "Service not available"},
	{name: "tcpmuxa", reply: "+\r\ndata", service: "data"},
	{name: "dedicated behind tcpmuxa", reply: "+\r\n+dedicated\r\n", service: "+dedicated\r\n"},
	{name: "LF alone", reply: "+OK\ndata", text: "OK", service: "data"},
	{name: "two CR", reply: "+OK\r\r\n", text: "OK\r"},
	{name: "refused, no text", reply: "-\r\n", refused: ""},
	{name: "hostile text", reply: "-\x1b[2J\xff\x00\r\n", refused: "\x1b[2J\xff\x00"},
	{name: "longest text", reply: "+" + strings.Repeat("a", MaxReply-1) + "\r\n", text: strings.Repeat("a", MaxReply-1)},
	{name: "text too long", reply: "+" + strings.Repeat("a", MaxReply) + "\r\n", err: ErrTooLong},
	{name: "text too long, LF", reply: "+" + strings.Repeat("a", MaxReply) + "\n", err: ErrTooLong},
	{name: "silent close", reply: "", err: ErrNoReply},
	{name: "cut within the line", reply: "+Go\r", err: ErrNoReply},
	{name: "empty line", reply: "\r\n", err: ErrProtocol},
	{name: "another protocol", reply: "SSH-2.0-OpenSSH_9.2\r\n", err: ErrProtocol},
	{name: "space first", reply: " +Go\r\n", err: ErrProtocol},
}

func TestClientGolden(t *testing.T) {
	overTransports(t, func(t *testing.T, connect pairs) {
		for _, row := range goldenReplies {
			t.Run(row.name, func(t *testing.T) {
				conn, done := answer(t, connect, "SomeService\r\n", row.reply)
				defer done()
				rest, text, err := Open(t.Context(), conn, "SomeService")
				if row.err != nil || row.refused != "" || strings.HasPrefix(row.reply, "-") {
					checkRefusal(t, err, row.err, row.refused)
					return
				}
				if err != nil || text != row.text {
					t.Fatalf("text %q, error %v; want %q", text, err, row.text)
				}
				if row.skipNUL {
					rest = SkipNUL(rest)
				}
				if service, err := io.ReadAll(rest); err != nil || string(service) != row.service {
					t.Errorf("service sent %q, %v; want %q", service, err, row.service)
				}
			})
		}
	})
}

func checkRefusal(t *testing.T, err, want error, text string) {
	t.Helper()
	if want != nil {
		if !errors.Is(err, want) {
			t.Errorf("error %v, want %v", err, want)
		}
		return
	}
	if refusal, ok := errors.AsType[*RefusedError](err); !ok || refusal.Text != text {
		t.Errorf("error %v, want a refusal with text %q", err, text)
	}
}

// answer starts a server that expects exactly one request, replies, and ends its stream.
func answer(t *testing.T, connect pairs, request, reply string) (client net.Conn, done func()) {
	client, server := connect()
	var tasks sync.WaitGroup
	tasks.Go(func() {
		defer server.Close()
		got := make([]byte, len(request))
		if _, err := io.ReadFull(server, got); err != nil || string(got) != request {
			t.Errorf("the server got %q, %v; want %q", got, err, request)
		}
		io.WriteString(server, reply)
		server.CloseWrite()
		if more, _ := io.ReadAll(server); len(more) > 0 {
			t.Errorf("the client sent %q unasked", more)
		}
	})
	return client, func() {
		client.Close()
		tasks.Wait()
	}
}

var goldenLists = []struct {
	name    string
	reply   string
	names   []string
	err     error
	refused string
}{
	{name: "bare names", reply: "dedsvc\r\nplussvc\r\n", names: []string{"dedsvc", "plussvc"}},
	{name: "NetBSD", reply: "+Available services:\r\nhelp\r\nplussvc\r\n", names: []string{"plussvc"}},
	{name: "tcpmuxa", reply: "HELP\r\nPLUSSVC\r\nDEDSVC\r\n", names: []string{"PLUSSVC", "DEDSVC"}},
	{name: "xinetd", reply: "-Service name not found\r\n\x00", refused: "Service name not found"},
	{name: "LF, no last line end", reply: "a\nb\n\nc", names: []string{"a", "b", "c"}},
	{name: "plus later", reply: "a\r\n+b\r\n-c\r\n", names: []string{"a", "+b", "-c"}},
	{name: "no services", reply: ""},
	{name: "longest name", reply: strings.Repeat("a", 256) + "\r\n", names: []string{strings.Repeat("a", 256)}},
	{name: "name too long", reply: strings.Repeat("a", 257) + "\r\n", err: ErrTooLong},
	{name: "line too long", reply: strings.Repeat("a", 5000), err: ErrTooLong},
	{name: "NUL", reply: "a\r\nb\x00\r\n", err: ErrProtocol},
	{name: "list too long", reply: strings.Repeat("\r\n", MaxList/2+1), err: ErrTooLong},
	{name: "too many names", reply: strings.Repeat("a\n", MaxListed+1), err: ErrTooLong},
}

func TestListGolden(t *testing.T) {
	overTransports(t, func(t *testing.T, connect pairs) {
		for _, row := range goldenLists {
			t.Run(row.name, func(t *testing.T) {
				conn, done := answer(t, connect, "help\r\n", row.reply)
				defer done()
				names, err := List(t.Context(), conn)
				if row.err != nil || row.refused != "" {
					checkRefusal(t, err, row.err, row.refused)
				} else if err != nil || !slices.Equal(names, row.names) {
					t.Errorf("names %q, %v; want %q", names, err, row.names)
				}
			})
		}
	})
}

// TestBothRoles has the client speak to the server.
func TestBothRoles(t *testing.T) {
	overTransports(t, func(t *testing.T, connect pairs) {
		exchange := func(use func(ctx context.Context, client net.Conn)) {
			client, server := connect()
			var tasks sync.WaitGroup
			tasks.Go(func() { serve(server, time.Minute) })
			use(t.Context(), client)
			client.Close()
			tasks.Wait()
		}
		exchange(func(ctx context.Context, client net.Conn) {
			rest, text, err := Open(ctx, client, "PlusSvc")
			if err != nil || text != "Go" {
				t.Fatalf("text %q, error %v", text, err)
			}
			go func() {
				io.WriteString(rest, "hello")
				rest.(closeWriter).CloseWrite()
			}()
			if echo, err := io.ReadAll(rest); err != nil || string(echo) != "hello" {
				t.Errorf("echo %q, %v", echo, err)
			}
		})
		exchange(func(ctx context.Context, client net.Conn) {
			_, _, err := Open(ctx, client, "nosuch")
			checkRefusal(t, err, nil, "Service not available")
		})
		exchange(func(ctx context.Context, client net.Conn) {
			names, err := List(ctx, client)
			if err != nil || !slices.Equal(names, []string{"plussvc", "dedsvc"}) {
				t.Errorf("names %q, %v", names, err)
			}
		})
	})
}
