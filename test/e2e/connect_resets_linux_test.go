package e2e

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"jackfield/test/live"
)

// startHanded starts a service that hands its connections to the test.
func startHanded(t *testing.T) (address string, conns <-chan *net.TCPConn) {
	t.Helper()
	handed := make(chan *net.TCPConn)
	address, stop, err := startBackend(func(ctx context.Context, conn *net.TCPConn) {
		select {
		case handed <- conn:
			<-ctx.Done()
		case <-ctx.Done():
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	return address, handed
}

// greet has both ends of a session hear the other one, and returns the service's.
func greet(t *testing.T, r *toolRun, p program, conns <-chan *net.TCPConn) *net.TCPConn {
	t.Helper()
	io.WriteString(r.in, "hello")
	var service *net.TCPConn
	select {
	case service = <-conns:
	case <-time.After(live.Patience):
		t.Fatal("the service is not reached")
	}
	heard := make([]byte, 5)
	if _, err := io.ReadFull(service, heard); err != nil || string(heard) != "hello" {
		t.Fatalf("the service hears %q, %v", heard, err)
	}
	io.WriteString(service, "yes")
	heard = make([]byte, len(p.prefix)+3)
	if _, err := io.ReadFull(r.out, heard); err != nil || string(heard) != p.prefix+"yes" {
		t.Fatalf("the program hears %q, %v", heard, err)
	}
	return service
}

// What a program does that does not end in order.
type breach string

const (
	endsInput breach = "as its input ends" // it has been told what to do then
	killed    breach = "killed"            // over TLS that is FIN without close_notify
	unread    breach = "killed with bytes unread"
)

var clientBreaches = []struct {
	program
	breach
	says string // at its end; a pattern
}{
	{netcat(), unread, ""},
	{python("reset"), endsInput, ""},
	{pythonTLS("reset"), endsInput, ""},
	{pythonTLS("fin"), endsInput, "RST|FIN"},
	{sClient(), killed, ""},
	{proxytunnelTLS(), killed, ""},
	{libssl("1.2", "reset"), endsInput, ""},
	{libssl("1.3", "reset"), endsInput, ""},
	{libssl("1.2", "close"), endsInput, ""},
	{libssl("1.3", "close"), endsInput, ""},
	{libssl("1.2", "fin"), endsInput, "RST|FIN"},
	{libssl("1.3", "fin"), endsInput, "RST|FIN"},
	{libssl("1.3", "torn"), endsInput, "RST|FIN"},
}

// TestConnectClientBreaks: a client that resets its connection, or ends it without close_notify, resets the service's; never does
// the service see an end in order.
func TestConnectClientBreaks(t *testing.T) {
	t.Parallel()
	address, conns := startHanded(t)
	b := newToolbox(t, map[string]string{"handed": address})
	for i, p := range clientBreaches {
		t.Run(p.name, func(t *testing.T) {
			client := b.client(t, fmt.Sprintf("user-%d", i), "handed")
			times := live.Times(3, 100)
			for range times {
				r := b.start(t, p.program, client, live.Patience)
				service := greet(t, r, p.program, conns)
				b.breach(t, p.breach, r, service)
				if n, err := service.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
					t.Errorf("the service sees %d bytes, %v", n, err)
				}
				service.Close()
				r.in.Close()
				if err := r.wait(); p.breach == endsInput && (err != nil || !regexp.MustCompile("^("+p.says+")$").MatchString(r.says())) {
					t.Errorf("it ends with %v and says %q", err, r.says())
				}
			}
			b.expectEnds(t, client, clientBroke, times)
		})
	}
}

func (b *toolbox) breach(t *testing.T, how breach, r *toolRun, service *net.TCPConn) {
	t.Helper()
	switch how {
	case endsInput:
		r.in.Close()
	case killed:
		r.signal(syscall.SIGKILL)
	case unread:
		r.signal(syscall.SIGSTOP)
		io.WriteString(service, "unread")
		if !eventually(func() bool { return unreadFrom(t, b.Addresses["plain"]) }) {
			t.Error("the program's socket gets nothing")
		}
		r.signal(syscall.SIGKILL)
	}
}

// unreadFrom says whether a socket here that is connected to an address has bytes which nobody has read.
func unreadFrom(t *testing.T, address string) bool {
	t.Helper()
	far := fmt.Sprintf(":%04X", netip.MustParseAddrPort(address).Port())
	table, err := os.ReadFile("/proc/net/tcp")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(table)) {
		fields := strings.Fields(line) // number, local address, remote one, state, queues to send and to read
		if len(fields) < 5 || !strings.HasSuffix(fields[2], far) {
			continue
		}
		if _, queue, _ := strings.Cut(fields[4], ":"); strings.Trim(queue, "0") != "" {
			return true
		}
	}
	return false
}

// A resetShown is what a program shows of a reset.
type resetShown struct {
	program
	halfClose bool // it can
	status    int
	says      string // a pattern
}

// Of itself nc shows nothing: POLLERR on a socket of TCP is a reset.
var serviceResets = []resetShown{
	{tracedNetcat(), false, 0, ""},
	{python("fin"), true, 0, "RST"},
	{pythonTLS("stay"), false, 0, "RST|FIN"},
	{sClient(), false, int(syscall.ECONNRESET), ".*errno=104"},
	{libssl("1.2", "notify"), true, 0, "RST"},
	{libssl("1.3", "notify"), true, 0, "RST"},
}

func tracedNetcat() program {
	p := netcat()
	p.needs, p.line = "strace", "strace -f -qq -e trace=poll -o trace "+p.line
	return p
}

// TestConnectServiceResets: a service's reset is a reset to the client, also behind the client's own end.
func TestConnectServiceResets(t *testing.T) {
	t.Parallel()
	address, conns := startHanded(t)
	b := newToolbox(t, map[string]string{"handed": address})
	for i, p := range serviceResets {
		client := b.client(t, fmt.Sprintf("user-%d", i), "handed")
		times := live.Times(3, 100)
		t.Run(p.name, func(t *testing.T) {
			for range times {
				r := b.start(t, p.program, client, live.Patience)
				service := greet(t, r, p.program, conns)
				p.expectReset(t, r, service)
				if p.needs == "strace" && !strings.Contains(fileText(t, filepath.Join(b.dir, "trace")), "POLLERR") {
					t.Error("nc's socket has had no error")
				}
			}
			b.expectEnds(t, client, serviceBroke, times)
		})
		if !p.halfClose {
			continue
		}
		t.Run(p.name+", after its end", func(t *testing.T) {
			for range times {
				r := b.start(t, p.program, client, live.Patience)
				service := greet(t, r, p.program, conns)
				r.in.Close()
				if rest, err := io.ReadAll(service); err != nil || len(rest) > 0 {
					t.Errorf("the service sees %q, %v", rest, err)
				}
				p.expectReset(t, r, service)
			}
			b.expectEnds(t, client, serviceBroke, 2*times)
		})
	}
}

// expectReset resets a service's connection and wants to see that in the program.
func (p *resetShown) expectReset(t *testing.T, r *toolRun, service *net.TCPConn) {
	t.Helper()
	service.SetLinger(0)
	service.Close()
	if p.prefix != "" {
		r.in.Close() // what goes before the program would wait for it
	}
	if n, err := r.out.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("the program gets %d bytes, %v", n, err)
	}
	r.in.Close()
	if r.wait(); r.status() != p.status || !regexp.MustCompile("^("+p.says+")$").MatchString(r.says()) {
		t.Errorf("it ends with %d and says %q", r.status(), r.says())
	}
}
