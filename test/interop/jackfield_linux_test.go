package interop

import (
	"io"
	"net"
	"syscall"
	"testing"

	"jackfield/test/live"
)

// startJackfield runs the real server, with the two services behind it.
func startJackfield(t *testing.T) *server {
	t.Helper()
	dir := t.TempDir()
	write(t, dir, "jackfield.hcl", jackfieldConfig, 0o644)
	s, err := live.Serve(dir, "jackfield.hcl",
		"PLUS="+serveBackend(t, ""), "DEDICATED="+serveBackend(t, "+dedicated\r\n"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Stop(syscall.SIGTERM); err != nil {
			t.Error(err)
		}
	})
	return &server{"Jackfield", "", s.Addresses["mux"]}
}

const jackfieldConfig = `
data_dir = "data"
listener "mux" {
  protocol = "tcpmux"
  listen   = "127.0.0.1:0"
}
service "plussvc" {
  listeners = ["mux"]
  address   = env("PLUS")
}
service "dedsvc" {
  listeners = ["mux"]
  address   = env("DEDICATED")
}
`

// serveBackend greets each client, then echoes, as the peers' programs do.
func serveBackend(t *testing.T, greeting string) (address string) {
	t.Helper()
	ln, err := net.Listen("tcp", loopback(0))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	go func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				io.WriteString(conn, greeting)
				io.Copy(conn, conn)
			}()
		}
	}()
	return ln.Addr().String()
}
