package e2e

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"testing"
	"time"

	"jackfield/test/live"
	"jackfield/wire/mihini"
)

// TestShortStreams opens streams one after the other, so that ids are used again, over both kinds of devices. Each side waits now
// and then, so that ends cross.
func TestShortStreams(t *testing.T) {
	t.Parallel()
	count := live.Times(2*mihini.MaxStreams, 1000)
	service, stop, err := startBackend(func(_ context.Context, conn *net.TCPConn) {
		var header [4]byte
		if _, err := io.ReadFull(conn, header[:]); err != nil {
			return
		}
		n := binary.BigEndian.Uint32(header[:])
		time.Sleep(time.Duration(rand.N(3000)) * time.Microsecond) // is what this test is about
		conn.Write(pattern(uint64(n), shortSize(n)))
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	for _, kind := range []struct {
		name  string
		start func(t *testing.T, server string)
	}{
		{"our device", func(t *testing.T, server string) { startDevice(t, server) }},
		{"original device", startOriginal},
	} {
		t.Run(kind.name, func(t *testing.T) {
			t.Parallel()
			f := newField(t, strings.ReplaceAll(fieldConfig, "svc.example:7777", service))
			kind.start(t, f.Addresses["odd"])
			f.awaitDevice(t, "odd", 1)
			for n := range uint32(count) {
				if err := f.shortStream(n); err != nil {
					t.Fatalf("stream %d: %v", n, err)
				}
			}
			f.expectClosed(t, "odd", count)
			if state := f.device(t, "odd"); state.Opened != count || state.ProtocolErrors != 0 {
				t.Errorf("the device's link is %+v", state)
			}
		})
	}
}

func shortSize(n uint32) int { return 1 + int(n*7919)%20000 }

// shortStream wants the n-th answer. The client says more than the service reads, so that DATA crosses the CLOSE.
func (f *field) shortStream(n uint32) error {
	c, err := connect(f.Addresses["mux"])
	if err != nil {
		return err
	}
	defer c.close()
	request := binary.BigEndian.AppendUint32([]byte("odd\r\n"), n)
	if _, err := c.Write(request); err != nil {
		return err
	}
	want := append([]byte("+\r\n"), pattern(uint64(n), shortSize(n))...)
	got := make([]byte, len(want))
	if read, err := io.ReadFull(c, got); err != nil {
		return fmt.Errorf("after %d of %d bytes: %w", read, len(want), err)
	}
	if !bytes.Equal(got, want) {
		return errors.New("other bytes came")
	}
	time.Sleep(time.Duration(rand.N(1000)) * time.Microsecond) // is what this test is about
	c.Write([]byte("too late"))
	return nil
}

// pattern is n bytes that no other seed has.
func pattern(seed uint64, n int) []byte {
	var key [32]byte
	binary.BigEndian.PutUint64(key[:], seed)
	text := make([]byte, n)
	rand.NewChaCha8(key).Read(text)
	return text
}
