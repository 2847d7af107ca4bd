package e2e

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"jackfield/test/live"
)

// bulkSize is how many bytes go each way.
func bulkSize() int64 { return int64(live.Times(16, 256)) << 20 }

func bulkPatience() time.Duration { return time.Duration(live.Times(2, 20)) * live.Patience }

// The seeds of what goes to the service, and of what comes from it.
const (
	upward   = 11
	downward = 12
)

// stream is the same bytes for the same seed.
func stream(seed uint64, size int64) io.Reader {
	var key [32]byte
	binary.BigEndian.PutUint64(key[:], seed)
	return io.LimitReader(rand.NewChaCha8(key), size)
}

func sumOf(r io.Reader) (sum [sha256.Size]byte, n int64, err error) {
	hash := sha256.New()
	n, err = io.Copy(hash, r)
	return [sha256.Size]byte(hash.Sum(nil)), n, err
}

// bulk is a service that sends its stream while it reads the client's, then the sum of what it has read, and ends its side.
func bulk(_ context.Context, conn *net.TCPConn) { serveBulk(conn) }

func serveBulk(conn interface {
	io.ReadWriter
	CloseWrite() error
}) {
	sent := make(chan error, 1)
	go func() {
		_, err := io.Copy(conn, stream(downward, bulkSize()))
		sent <- err
	}()
	sum, _, err := sumOf(io.LimitReader(conn, bulkSize()))
	if errors.Join(err, <-sent) == nil {
		conn.Write(sum[:])
		conn.CloseWrite()
		io.Copy(io.Discard, conn)
	}
}

// bulkSite does by HTTP what bulk does, one way after the other.
func bulkSite(w http.ResponseWriter, r *http.Request) {
	if sum, _, err := sumOf(r.Body); err == nil {
		io.Copy(w, stream(downward, bulkSize()))
		w.Write(sum[:])
	}
}

func startBulkServices(t *testing.T) (services map[string]string) {
	t.Helper()
	address, stop, err := startBackend(bulk)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	site := httptest.NewTLSServer(http.HandlerFunc(bulkSite)) // for its certificate, too
	plain := httptest.NewServer(site.Config.Handler)
	secure, stop, err := startBackend(func(_ context.Context, conn *net.TCPConn) {
		serveBulk(tls.Server(conn, &tls.Config{Certificates: site.TLS.Certificates}))
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stop(); plain.Close(); site.Close() })
	return map[string]string{"bulk": address, "secure": secure, "site": plain.Listener.Addr().String()}
}

// setTunnel asks a site through a proxy, by Python's http.client.
const setTunnel = `
import base64, http.client, os, shutil, ssl, sys
tls = sys.argv[1] == "https"
conn = http.client.HTTPConnection("localhost" if tls else "127.0.0.1", os.environ["WEB" if tls else "PLAIN"])
if tls:
    context, connect = ssl.create_default_context(cafile=os.environ["AUTHORITY"]), conn._create_connection
    conn._create_connection = lambda *args: context.wrap_socket(connect(*args), server_hostname="localhost")
credentials = base64.b64encode((os.environ["CLIENT"] + ":" + os.environ["TOKEN"]).encode()).decode()
conn.set_tunnel(os.environ["SERVICE"], 80, {"Proxy-Authorization": "Basic " + credentials})
conn.request("POST", "/", body=sys.stdin.buffer, encode_chunked=True, headers={"Transfer-Encoding": "chunked"})
answer = conn.getresponse()
assert answer.status == 200, answer.status
shutil.copyfileobj(answer, sys.stdout.buffer)
`

// A bulkProgram carries much, both ways.
type bulkProgram struct {
	program
	service string
	end     string // of the session
}

var bulkPrograms = []bulkProgram{
	{program{name: "curl, http", needs: "curl",
		line: `curl -sS -p -x http://127.0.0.1:$PLAIN --proxy-user $CLIENT:$TOKEN -T - http://$SERVICE/`}, "site", inOrder},
	{program{name: "curl, https", needs: "curl",
		line: `curl -sS -p -x https://localhost:$WEB --proxy-cacert $AUTHORITY --proxy-user $CLIENT:$TOKEN -T - http://$SERVICE/`}, "site", inOrder},
	{program{name: "proxytunnel, http", needs: "proxytunnel",
		line: `proxytunnel -q -p 127.0.0.1:$PLAIN -P $CLIENT:$TOKEN -d $SERVICE:1`}, "bulk", inOrder},
	{proxytunnelTLS(), "bulk", inOrder},
	{netcat(), "bulk", inOrder},
	{python("fin"), "bulk", inOrder},
	{pythonTLS("stay"), "bulk", clientBroke}, // Python closes without close_notify
	{program{name: "python3 set_tunnel, http", needs: debianPython, line: debianPython + ` -I -c '` + setTunnel + `' http`}, "site", inOrder},
	{program{name: "python3 set_tunnel, https", needs: debianPython, line: debianPython + ` -I -c '` + setTunnel + `' https`}, "site", clientBroke},
	{program{name: "s_client -proxy, http", needs: "openssl",
		line: `openssl s_client -quiet -verify_quiet -proxy 127.0.0.1:$PLAIN -proxy_user $CLIENT -proxy_pass env:TOKEN -connect $SERVICE:1`},
		"secure", inOrder},
	{sClient(), "bulk", inOrder},
	{libssl("1.2", "notify"), "bulk", inOrder},
	{libssl("1.3", "notify"), "bulk", inOrder},
}

// TestConnectBulk: what programs that are not Go send and get through CONNECT is whole, both ways.
func TestConnectBulk(t *testing.T) {
	t.Parallel()
	b := newToolbox(t, startBulkServices(t))
	for i, p := range bulkPrograms {
		t.Run(p.name, func(t *testing.T) {
			t.Parallel()
			client := b.client(t, fmt.Sprintf("user-%d", i), p.service)
			r := b.start(t, p.program, client, bulkPatience())
			began := time.Now()
			sent := make(chan error, 1)
			go func() {
				_, err := io.Copy(r.in, stream(upward, bulkSize()))
				if p.service == "site" { // whose answer begins after that
					r.in.Close()
				}
				sent <- err
			}()
			prefix := make([]byte, len(p.prefix))
			if _, err := io.ReadFull(r.out, prefix); err != nil || string(prefix) != p.prefix {
				t.Errorf("the answer begins with %q, %v", prefix, err)
			}
			wantUp, _, _ := sumOf(stream(upward, bulkSize()))
			wantDown, _, _ := sumOf(stream(downward, bulkSize()))
			down, n, err := sumOf(io.LimitReader(r.out, bulkSize()))
			if down != wantDown {
				t.Errorf("%d bytes have come, or others: %v", n, err)
			}
			up := make([]byte, sha256.Size)
			if _, err := io.ReadFull(r.out, up); err != nil || [sha256.Size]byte(up) != wantUp {
				t.Errorf("the service has got something else: %x, %v", up, err)
			}
			t.Logf("%d MiB each way: %.1f s", bulkSize()>>20, time.Since(began).Seconds())
			r.in.Close()
			if rest, err := io.ReadAll(r.out); err != nil || len(rest) > 0 {
				t.Errorf("then %q, %v", rest, err)
			}
			if err := errors.Join(<-sent, r.wait()); err != nil {
				t.Errorf("%v: %s", err, r.says())
			}
			for _, line := range b.expectEnds(t, client, p.end, 1) {
				got := fmt.Sprintf("%v and %v", line["bytes_from_client"], line["bytes_from_service"])
				if want := fmt.Sprintf("%d and %d", bulkSize(), bulkSize()+sha256.Size); p.service == "bulk" && got != want {
					t.Errorf("the audit counts %s, not %s", got, want)
				}
			}
		})
	}
}
