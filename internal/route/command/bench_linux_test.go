package command_test

import (
	"io"
	"testing"

	"jackfield/internal/route/command"
)

// The two forms with /bin/cat, from the connection to the end of the session.
func BenchmarkDirect(b *testing.B) {
	route := newRoute(b, command.Options{Command: []string{"/bin/cat"}})
	for b.Loop() {
		d := take(b, route).serve()
		d.send("DATA")
		d.client.CloseWrite()
		d.readAll()
		d.end()
		d.close()
	}
}

func BenchmarkRelayed(b *testing.B) {
	route := newRoute(b, command.Options{Command: []string{"/bin/cat"}})
	for b.Loop() {
		j := join(b, route)
		io.WriteString(j.client, "DATA")
		j.client.CloseWrite()
		io.Copy(io.Discard, j.client)
		j.running.Wait()
		j.client.Close()
	}
}
