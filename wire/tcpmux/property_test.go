package tcpmux

import (
	"bytes"
	"io"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// TestNameAndDataArrive: any name, any data, split and glued in any way, with either line end.
func TestNameAndDataArrive(t *testing.T) {
	overTransports(t, func(t *testing.T, connect pairs) {
		rapid.Check(t, func(t *rapid.T) {
			lineEnd := rapid.SampledFrom([]string{"\r\n", "\n"}).Draw(t, "line end")
			name := drawLine(t, "name", MaxName, lineEnd)
			data := rapid.SliceOf(rapid.Byte()).Draw(t, "data")
			sent := joined(name, lineEnd, data)

			var peer sync.WaitGroup
			defer peer.Wait()
			client, server := connect()
			defer client.Close()
			defer server.Close()
			chunks := drawChunks(t, sent)
			peer.Go(func() { sendChunks(client, server, chunks, len(name)+len(lineEnd)) })

			gotName, rest, err := ReadName(server, time.Minute)
			if err != nil || gotName != string(name) {
				t.Fatalf("name %q, %v; want %q", gotName, err, name)
			}
			if got, err := io.ReadAll(rest); err != nil || !bytes.Equal(got, data) {
				t.Fatalf("data %q, %v; want %q", got, err, data)
			}
		})
	})
}

// TestTextAndDataArrive is the same for the client, with xinetd's NUL or without.
func TestTextAndDataArrive(t *testing.T) {
	overTransports(t, func(t *testing.T, connect pairs) {
		rapid.Check(t, func(t *rapid.T) {
			lineEnd := rapid.SampledFrom([]string{"\r\n", "\n"}).Draw(t, "line end")
			text := drawLine(t, "text", MaxReply-1, lineEnd)
			data := rapid.SliceOf(rapid.Byte()).Draw(t, "data")
			nul := rapid.Bool().Draw(t, "NUL")
			service := data
			if nul {
				service = joined([]byte{0}, "", data)
			}
			reply := joined(append([]byte("+"), text...), lineEnd, service)

			var peer sync.WaitGroup
			defer peer.Wait()
			client, server := connect()
			defer client.Close()
			defer server.Close()
			chunks := drawChunks(t, reply)
			peer.Go(func() {
				io.ReadFull(server, make([]byte, len("x\r\n")))
				sendChunks(server, client, chunks, 1+len(text)+len(lineEnd))
			})

			rest, gotText, err := Open(t.Context(), client, "x")
			if err != nil || gotText != string(text) {
				t.Fatalf("text %q, %v; want %q", gotText, err, text)
			}
			if nul {
				rest = SkipNUL(rest)
			}
			if got, err := io.ReadAll(rest); err != nil || !bytes.Equal(got, data) {
				t.Fatalf("data %q, %v; want %q", got, err, data)
			}
		})
	})
}

// drawLine makes a line of any bytes that lineEnd can end.
func drawLine(t *rapid.T, label string, limit int, lineEnd string) []byte {
	isNotLF := func(b byte) bool { return b != '\n' }
	line := rapid.SliceOfN(rapid.Byte().Filter(isNotLF), 0, limit).Draw(t, label)
	if lineEnd == "\n" {
		line = bytes.TrimRight(line, "\r")
	}
	return line
}

func joined(line []byte, lineEnd string, data []byte) []byte {
	return bytes.Join([][]byte{line, []byte(lineEnd), data}, nil)
}

// drawChunks cuts b anywhere.
func drawChunks(t *rapid.T, b []byte) [][]byte {
	var chunks [][]byte
	for len(b) > 0 {
		n := rapid.IntRange(1, len(b)).Draw(t, "chunk")
		chunks = append(chunks, b[:n])
		b = b[n:]
	}
	return chunks
}

// sendChunks writes each chunk and ends the stream. Chunks that end within the line (its length includes the line end)
// arrive one by one, where the platform can tell.
func sendChunks(from, to halfConn, chunks [][]byte, line int) {
	sent := 0
	for _, chunk := range chunks {
		from.Write(chunk)
		if sent += len(chunk); sent < line {
			awaitRead(to)
		}
	}
	from.CloseWrite()
}
