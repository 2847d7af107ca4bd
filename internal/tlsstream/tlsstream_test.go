package tlsstream_test

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http/httptest"
	"os"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"jackfield/internal/tlsstream"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var certificates = sync.OnceValue(func() []tls.Certificate {
	host := httptest.NewUnstartedServer(nil) // for its certificate
	host.StartTLS()
	defer host.Close()
	return host.TLS.Certificates
})

// connected are the ends of a connection.
func connected(t *testing.T) (near, far *net.TCPConn) {
	t.Helper()
	listener, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	far, err = net.DialTCP("tcp", nil, listener.Addr().(*net.TCPAddr))
	if err != nil {
		t.Fatal(err)
	}
	near, err = listener.AcceptTCP()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { near.Close(); far.Close() })
	return near, far
}

// pair is a connection between a server and a client, with TLS of at most the given version.
func pair(t *testing.T, version uint16) (server, client *tlsstream.Stream) {
	t.Helper()
	near, far := connected(t)
	far.SetReadDeadline(time.Now().Add(time.Minute))
	server = tlsstream.Of(tlsstream.Server(near, &tls.Config{Certificates: certificates()}))
	client = tlsstream.Of(tlsstream.Client(far, &tls.Config{InsecureSkipVerify: true, MaxVersion: version}))
	var handshake sync.WaitGroup
	handshake.Go(func() { server.Handshake() })
	if err := client.Handshake(); err != nil {
		t.Fatal(err)
	}
	handshake.Wait()
	return server, client
}

func TestEnds(t *testing.T) {
	for name, test := range map[string]struct {
		end  func(*tlsstream.Stream)
		want error // nil: an end in order
	}{
		"close_notify":        {func(s *tlsstream.Stream) { s.CloseWrite() }, nil},
		"closed in order":     {func(s *tlsstream.Stream) { s.Close() }, nil},
		"FIN alone":           {func(s *tlsstream.Stream) { s.NetConn().(interface{ CloseWrite() error }).CloseWrite() }, io.ErrUnexpectedEOF},
		"closed below":        {func(s *tlsstream.Stream) { s.NetConn().Close() }, io.ErrUnexpectedEOF},
		"FIN within a record": {func(s *tlsstream.Stream) { s.NetConn().Write([]byte{23, 3, 3, 1, 0}); s.NetConn().Close() }, io.ErrUnexpectedEOF},
		"RST": {func(s *tlsstream.Stream) {
			s.NetConn().(interface{ SetLinger(int) error }).SetLinger(0)
			s.NetConn().Close()
		}, syscall.ECONNRESET},
	} {
		for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
			t.Run(name+", "+tls.VersionName(version), func(t *testing.T) {
				server, client := pair(t, version)
				if _, err := io.WriteString(server, "answer"); err != nil {
					t.Fatal(err)
				}
				answer := make([]byte, 6) // before a reset discards it
				if _, err := io.ReadFull(client, answer); err != nil || string(answer) != "answer" {
					t.Fatalf("read %q, %v", answer, err)
				}
				test.end(server)
				if rest, err := io.ReadAll(client); len(rest) > 0 || !errors.Is(err, test.want) {
					t.Errorf("then read %q, %v; want %v", rest, err, test.want)
				}
				if _, err := client.Read(make([]byte, 1)); test.want != nil && (err == nil || err == io.EOF) {
					t.Errorf("and then read %v", err)
				}
			})
		}
	}
}

func TestHalfClose(t *testing.T) {
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		for range 25 {
			server, client := pair(t, version)
			go func() {
				question, _ := io.ReadAll(server)
				io.WriteString(server, "answer to "+string(question))
				server.CloseWrite()
			}()
			io.WriteString(client, "question")
			if err := client.CloseWrite(); err != nil {
				t.Fatal(err)
			}
			if answer, err := io.ReadAll(client); err != nil || string(answer) != "answer to question" {
				t.Fatalf("%s: read %q, %v", tls.VersionName(version), answer, err)
			}
			if _, err := io.WriteString(client, "more"); err == nil {
				t.Fatal("a stream takes bytes after its end")
			}
		}
	}
}

// fill writes below TLS until the connection takes not one byte more.
func fill(t *testing.T, s *tlsstream.Stream) {
	t.Helper()
	defer s.SetWriteDeadline(time.Time{})
	for _, size := range []int{1 << 20, 1 << 10, 1} {
		for block := make([]byte, size); ; {
			s.SetWriteDeadline(time.Now().Add(200 * time.Millisecond))
			began := time.Now()
			_, err := s.NetConn().Write(block)
			if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Fatal(err)
			}
			if err != nil && time.Since(began) > 100*time.Millisecond { // it has waited: the deadline had not passed before it began
				break
			}
		}
	}
}

// CloseWrite waits for a peer that is slow to read, where crypto/tls alone gives up after five seconds; but not for one that
// is gone.
func TestCloseWriteIsPatient(t *testing.T) {
	t.Parallel()
	const patient = 5500 * time.Millisecond
	for name, test := range map[string]struct {
		then func(server, client *tlsstream.Stream)
		good bool
	}{
		"until there is room": {func(_, client *tlsstream.Stream) {
			go io.Copy(io.Discard, client.NetConn())
		}, true},
		"until the peer is gone":        {func(_, client *tlsstream.Stream) { client.NetConn().Close() }, false},
		"until the stream is closed":    {func(server, _ *tlsstream.Stream) { server.NetConn().Close() }, false},
		"until the deadline is reached": {nil, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server, client := pair(t, tls.VersionTLS13)
			fill(t, server)
			over := make(chan error, 1)
			began := time.Now()
			if test.then == nil {
				server.SetDeadline(began.Add(7 * time.Second))
			}
			var waited time.Duration
			go func() {
				err := server.CloseWrite()
				waited = time.Since(began)
				over <- err
			}()
			time.Sleep(patient)
			if test.then != nil {
				test.then(server, client)
			}
			if err := <-over; (err == nil) != test.good || waited < patient {
				t.Errorf("it returned %v after %v", err, waited)
			}
			client.NetConn().Close()
		})
	}
}
