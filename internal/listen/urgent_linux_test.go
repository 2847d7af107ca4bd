package listen_test

import (
	"context"
	"io"
	"testing"

	"golang.org/x/sys/unix"

	"jackfield/internal/listen"
)

// Urgent bytes are data: telnet marks some so, and a console that loses them is out of step.
func TestUrgentBytesStayInTheStream(t *testing.T) {
	read := make(chan string, 1)
	address := serve(t, &listen.Server{Handler: handlerFunc(func(_ context.Context, c *listen.Client) {
		defer c.Conn.Close()
		all, err := io.ReadAll(c.Conn)
		if err != nil {
			t.Error(err)
		}
		read <- string(all)
	})})
	conn := dial(t, address)
	raw, err := conn.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	io.WriteString(conn, "abc")
	err = raw.Control(func(fd uintptr) {
		if err := unix.Sendto(int(fd), []byte("U"), unix.MSG_OOB, nil); err != nil {
			t.Error(err)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	io.WriteString(conn, "def")
	conn.CloseWrite()
	if got := <-read; got != "abcUdef" {
		t.Errorf("read %q", got)
	}
}
