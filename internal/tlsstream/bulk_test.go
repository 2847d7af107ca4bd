package tlsstream_test

import (
	"bytes"
	"crypto/sha256"
	"crypto/tls"
	"errors"
	"hash"
	"io"
	"math/rand/v2"
	"net"
	"runtime"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"jackfield/internal/tlsstream"
)

// Whatever the sizes of writes and reads, in both directions at once: what arrives is what was sent, and no buffer is left.
func TestNothingIsLost(t *testing.T) {
	type ends struct{ server, client *tlsstream.Stream }
	pairs := make(map[uint16]ends)
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		server, client := pair(t, version)
		pairs[version] = ends{server, client}
	}
	sizes := rapid.SliceOfN(rapid.IntRange(1, 100<<10), 1, 4)
	rapid.Check(t, func(t *rapid.T) {
		on := pairs[rapid.SampledFrom([]uint16{tls.VersionTLS12, tls.VersionTLS13}).Draw(t, "version")]
		writes, reads, await := sizes.Draw(t, "writes"), sizes.Draw(t, "reads"), rapid.Bool().Draw(t, "await")
		on.client.SetReadDeadline(time.Now().Add(time.Minute)) // for each time, and not for all of them together
		var both sync.WaitGroup
		sent, got := [2]hash.Hash{sha256.New(), sha256.New()}, [2]hash.Hash{sha256.New(), sha256.New()}
		for k, way := range [][2]*tlsstream.Stream{{on.server, on.client}, {on.client, on.server}} {
			both.Go(func() { send(t, way[0], writes, sent[k]) })
			both.Go(func() { receive(t, way[1], sum(writes), reads, await, got[k]) })
		}
		both.Wait()
		for k := range sent {
			if !bytes.Equal(sent[k].Sum(nil), got[k].Sum(nil)) {
				t.Errorf("what arrived is not what was sent")
			}
		}
		if on.server.Holds() || on.client.Holds() {
			t.Errorf("a buffer is left: of the server %v, of the client %v", on.server.Holds(), on.client.Holds())
		}
	})
}

func send(t *rapid.T, s *tlsstream.Stream, sizes []int, sum hash.Hash) {
	source := rand.NewChaCha8([32]byte{})
	for _, size := range sizes {
		block := make([]byte, size)
		_, _ = source.Read(block) // never fails
		sum.Write(block)
		if n, err := s.Write(block); n != size || err != nil {
			t.Errorf("%d of %d bytes were written, %v", n, size, err)
		}
	}
}

func receive(t *rapid.T, s *tlsstream.Stream, total int, sizes []int, await bool, sum hash.Hash) {
	for k := 0; total > 0; k++ {
		if await {
			s.AwaitRead()
		}
		block := make([]byte, min(sizes[k%len(sizes)], total))
		n, err := s.Read(block)
		if n == 0 || err != nil {
			t.Errorf("%d bytes were read, %v", n, err)
			return
		}
		sum.Write(block[:n])
		total -= n
	}
}

func sum(sizes []int) (total int) {
	for _, size := range sizes {
		total += size
	}
	return total
}

// A Read returns what is there: it does not wait for the rest of a record of which the beginning has come, and loses none of it.
func TestReadDoesNotWaitForMore(t *testing.T) {
	const header, overhead = 5, 17 // of a record of TLS 1.3
	for _, begun := range []int{0, 1, header - 1, header, header + 1, header + overhead + len("second") - 1} {
		server, client, pass := valve(t)
		io.WriteString(client, "first")
		io.WriteString(client, "second")
		pass(header + overhead + len("first") + begun)
		buffer := make([]byte, 1<<10)
		if n, err := server.Read(buffer); err != nil || string(buffer[:n]) != "first" {
			t.Fatalf("with %d bytes of the second record: read %q, %v", begun, buffer[:n], err)
		}
		pass(header + overhead + len("second") - begun)
		if n, err := server.Read(buffer); err != nil || string(buffer[:n]) != "second" {
			t.Fatalf("after %d bytes of the second record: read %q, %v", begun, buffer[:n], err)
		}
	}
}

// valve is a pair between which, after the handshake, only so many of the client's bytes pass as it is told.
func valve(t *testing.T) (server, client *tlsstream.Stream, pass func(n int)) {
	t.Helper()
	near, toServer := connected(t)
	toClient, far := connected(t)
	server = tlsstream.Of(tlsstream.Server(near, &tls.Config{Certificates: certificates(), SessionTicketsDisabled: true}))
	client = tlsstream.Of(tlsstream.Client(far, &tls.Config{InsecureSkipVerify: true}))
	var back, handshake sync.WaitGroup
	back.Go(func() { io.Copy(toClient, toServer) })
	handshake.Go(func() { io.Copy(toServer, toClient) })
	handshake.Go(func() {
		server.Handshake()
		toClient.SetReadDeadline(time.Unix(1, 0)) // the client's part of the handshake has passed
	})
	if err := client.Handshake(); err != nil {
		t.Fatal(err)
	}
	handshake.Wait()
	toClient.SetReadDeadline(time.Time{})
	t.Cleanup(func() {
		toServer.Close()
		back.Wait()
	})
	return server, client, func(n int) {
		if _, err := io.CopyN(toServer, toClient, int64(n)); err != nil {
			t.Fatal(err)
		}
	}
}

// A Write that waits is ended by Close at once.
func TestCloseEndsAWrite(t *testing.T) {
	server, client := pair(t, tls.VersionTLS13)
	fill(t, server)
	over := make(chan error, 1)
	go func() {
		_, err := server.Write(make([]byte, 1<<20))
		over <- err
	}()
	for !server.Writing() {
		runtime.Gosched()
	}
	if err := server.Close(); err != nil {
		t.Error(err)
	}
	if err := <-over; !errors.Is(err, net.ErrClosed) {
		t.Errorf("the write ended with %v", err)
	}
	if _, err := server.Write(make([]byte, 1<<20)); !errors.Is(err, net.ErrClosed) {
		t.Errorf("a write after it ended with %v", err)
	}
	client.NetConn().Close()
}

// What was written before the connection broke is counted, about, and nothing is written after it.
func TestAWriteThatFails(t *testing.T) {
	server, client := pair(t, tls.VersionTLS13)
	client.NetConn().Close()
	for {
		if n, err := server.Write(make([]byte, 100<<10)); err != nil {
			if n >= 100<<10 {
				t.Errorf("%d bytes were written, %v", n, err)
			}
			break
		}
	}
	if n, err := server.Write(make([]byte, 100<<10)); n != 0 || err == nil {
		t.Errorf("after the failure, %d bytes were written, %v", n, err)
	}
}
