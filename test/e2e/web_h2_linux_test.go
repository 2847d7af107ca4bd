package e2e

import (
	"bytes"
	"crypto/tls"
	"io"
	"strings"
	"sync"
	"testing"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// An h2conn is a connection of HTTP/2 whose preface was sent.
type h2conn struct {
	*tls.Conn
	*http2.Framer
}

func beginH2(t *testing.T, s *site) h2conn {
	t.Helper()
	conn := s.dialTLS(t, "h2")
	if got := conn.ConnectionState().NegotiatedProtocol; got != "h2" {
		t.Fatalf("ALPN gives %q", got)
	}
	io.WriteString(conn, http2.ClientPreface)
	framer := http2.NewFramer(conn, conn)
	if err := framer.WriteSettings(); err != nil {
		t.Fatal(err)
	}
	return h2conn{conn, framer}
}

func block(fields ...string) []byte {
	var text bytes.Buffer
	encoder := hpack.NewEncoder(&text)
	for i := 0; i < len(fields); i += 2 {
		encoder.WriteField(hpack.HeaderField{Name: fields[i], Value: fields[i+1], Sensitive: true}) // not compressed
	}
	return text.Bytes()
}

// status reads until there is an answer; 0: there is none.
func (c h2conn) status() string {
	status := ""
	decoder := hpack.NewDecoder(4096, func(f hpack.HeaderField) {
		if f.Name == ":status" {
			status = f.Value
		}
	})
	for {
		frame, err := c.ReadFrame()
		if err != nil {
			return "closed"
		}
		if headers, is := frame.(*http2.HeadersFrame); is {
			decoder.Write(headers.HeaderBlockFragment())
			return status
		}
	}
}

func hugeHeaderH2(t *testing.T, s *site) {
	conn := beginH2(t, s)
	fields := block(":method", "GET", ":scheme", "https", ":authority", "localhost", ":path", "/api/v1/me")
	var sending sync.WaitGroup
	sending.Go(func() {
		conn.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: fields, EndStream: true})
		for range 10 << 20 / (16 << 10) {
			if conn.WriteContinuation(1, false, block("x-a", strings.Repeat("a", 16000))) != nil {
				return
			}
		}
	})
	if got := conn.status(); got != "431" && got != "closed" {
		t.Errorf("answered with %s", got)
	}
	conn.NetConn().Close()
	sending.Wait()
}

// rapidReset opens streams and resets each at once (CVE-2023-44487).
func rapidReset(t *testing.T, s *site) {
	conn := beginH2(t, s)
	fields := block(":method", "GET", ":scheme", "https", ":authority", "localhost", ":path", "/api/v1/health")
	var reading sync.WaitGroup
	reading.Go(func() { io.Copy(io.Discard, conn.Conn) })
	for i := range uint32(5000) {
		err := conn.WriteHeaders(http2.HeadersFrameParam{StreamID: 2*i + 1, BlockFragment: fields, EndStream: true, EndHeaders: true})
		if err == nil {
			err = conn.WriteRSTStream(2*i+1, http2.ErrCodeCancel)
		}
		if err != nil {
			break // the server has had enough
		}
	}
	conn.NetConn().Close()
	reading.Wait()
}
