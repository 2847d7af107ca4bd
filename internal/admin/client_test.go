package admin

import (
	"io"
	"net"
	"os"
	"strings"
	"testing"
)

func TestErrorsSayWhatToDo(t *testing.T) {
	t.Run("no socket", func(t *testing.T) {
		path := shortPath(t)
		wantError(t, path, "no server runs with "+path, `"jackfield serve"`, "--socket")
	})
	t.Run("nobody listens", func(t *testing.T) {
		path := shortPath(t)
		leaveSocket(t, path)
		wantError(t, path, "has ended", `"jackfield serve"`, "--socket")
	})
	t.Run("no permission", func(t *testing.T) {
		err := explain("/run/s", &net.OpError{Op: "dial", Err: os.NewSyscallError("connect", os.ErrPermission)})
		if err == nil || !strings.Contains(err.Error(), "as the server's user or as root") {
			t.Error(err)
		}
	})
	t.Run("path too long", func(t *testing.T) {
		wantError(t, "/"+strings.Repeat("x", maxSocketPath), "shorter data_dir")
	})
	t.Run("not our server", func(t *testing.T) {
		path := shortPath(t)
		answering(t, path, "HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\nno")
		wantError(t, path, "does not speak like a Jackfield server", "404")
	})
	t.Run("not JSON", func(t *testing.T) {
		path := shortPath(t)
		answering(t, path, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nno")
		wantError(t, path, "does not speak like a Jackfield server")
	})
	t.Run("gone at once", func(t *testing.T) {
		path := shortPath(t)
		answering(t, path, "")
		wantError(t, path, "did not answer")
	})
}

func wantError(t *testing.T, path string, parts ...string) {
	t.Helper()
	err := status(t, path)
	if err == nil {
		t.Fatal("no error")
	}
	for _, part := range parts {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%q does not say %q", err, part)
		}
	}
}

// answering is a server that reads one request and gives a fixed answer.
func answering(t *testing.T, path, answer string) {
	t.Helper()
	listener, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		conn.Read(make([]byte, 4096))
		io.WriteString(conn, answer)
	}()
	t.Cleanup(func() {
		listener.Close()
		<-done
	})
}
