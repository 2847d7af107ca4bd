package relay

import (
	"io"
	"sync"
	"testing"
)

// BenchmarkBulk measures one direction at full speed. Sender, relay and receiver share this process.
func BenchmarkBulk(b *testing.B) {
	for name, w := range map[string]wire{"tcp": tcpPair, "unix": unixPair} {
		b.Run(name, func(b *testing.B) {
			l := join(b, b.Context(), w, w, Options{})
			block := make([]byte, 1<<20)
			b.SetBytes(int64(len(block)))
			var reading sync.WaitGroup
			reading.Go(func() { io.CopyBuffer(io.Discard, struct{ io.Reader }{l.service}, make([]byte, 256<<10)) })
			for b.Loop() {
				if _, err := l.client.Write(block); err != nil {
					b.Fatal(err)
				}
			}
			must(b, l.client.CloseWrite())
			reading.Wait()
		})
	}
}

// BenchmarkPingPong measures the round trip of 64 bytes.
func BenchmarkPingPong(b *testing.B) {
	l := join(b, b.Context(), tcpPair, tcpPair, Options{})
	go io.Copy(l.service, struct{ io.Reader }{l.service})
	message := make([]byte, 64)
	for b.Loop() {
		if _, err := l.client.Write(message); err != nil {
			b.Fatal(err)
		}
		if _, err := io.ReadFull(l.client, message); err != nil {
			b.Fatal(err)
		}
	}
}
