package tcpmux

import (
	"testing"
	"time"
)

// BenchmarkNameExchange is one name and one reply, both roles, on a connection that stays open.
func BenchmarkNameExchange(b *testing.B) {
	for _, tr := range transports[1:] {
		b.Run(tr.name, func(b *testing.B) {
			client, server := tr.listen(b)()
			defer client.Close()
			defer server.Close()
			done := make(chan struct{})
			go func() {
				defer close(done)
				for {
					if _, _, err := ReadName(server, time.Minute); err != nil {
						return
					}
					if WriteAccept(server, "Go") != nil {
						return
					}
				}
			}()
			b.ReportAllocs()
			for b.Loop() {
				if _, _, err := Open(b.Context(), client, "service"); err != nil {
					b.Fatal(err)
				}
			}
			client.Close()
			<-done
		})
	}
}

// BenchmarkReadName is the server's part alone, the name being there already.
func BenchmarkReadName(b *testing.B) {
	for _, tr := range transports[1:4] {
		b.Run(tr.name, func(b *testing.B) {
			client, server := tr.listen(b)()
			defer client.Close()
			defer server.Close()
			b.ReportAllocs()
			for b.Loop() {
				client.Write([]byte("service\r\n"))
				if _, _, err := ReadName(server, time.Minute); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
