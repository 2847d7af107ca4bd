package admin

import (
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"testing"

	"jackfield"
)

func TestRoundTrip(t *testing.T) {
	path, sessions := shortPath(t), newTable()
	serveSocket(t, path, sessions)
	client := Dial(path)

	status, err := client.Status(t.Context())
	if want := (Status{Version: "1.2.3", PID: 7, Started: started}); err != nil || status != want {
		t.Errorf("Status: %+v, %v", status, err)
	}
	list, err := client.Sessions(t.Context())
	if want := newTable().sessions; err != nil || len(list) != 2 || list[0] != want[1] || list[1] != want[0] {
		t.Errorf("Sessions: %+v, %v", list, err)
	}
	for _, id := range []string{"a/1", "b2"} {
		if err := client.Disconnect(t.Context(), id); err != nil {
			t.Errorf("Disconnect: %v", err)
		}
		if got := sessions.cut[id]; got != "disconnected by admin" {
			t.Errorf("%s was cut because of %q", id, got)
		}
	}
	list, err = client.Sessions(t.Context())
	if err != nil || len(list) != 0 {
		t.Errorf("Sessions, when none is left: %+v, %v", list, err)
	}
}

func TestDisconnectOfNoSession(t *testing.T) {
	path := shortPath(t)
	serveSocket(t, path, newTable())
	for _, id := range []string{"zz", "", "../status", "a b?c#d", "\xff\n"} {
		err := Dial(path).Disconnect(t.Context(), id)
		refusal, is := errors.AsType[*jackfield.Error](err)
		if !is || refusal.Kind != jackfield.NotFound || refusal.Message == "" || refusal.ID == "" {
			t.Errorf("Disconnect(%q): %#v", id, err)
		}
	}
}

func TestErrorsSayWhatToDo(t *testing.T) {
	t.Run("no socket", func(t *testing.T) {
		path := shortPath(t)
		wantError(t, Dial(path), "no server runs with "+path, `"jackfield serve"`, "--socket")
	})
	t.Run("nobody listens", func(t *testing.T) {
		path := shortPath(t)
		leaveSocket(t, path)
		wantError(t, Dial(path), "has ended", `"jackfield serve"`, "--socket")
	})
	t.Run("no permission", func(t *testing.T) {
		err := Dial("/run/s").explain(&net.OpError{Op: "dial", Err: os.NewSyscallError("connect", os.ErrPermission)})
		if !strings.Contains(err.Error(), "as the server's user or as root") {
			t.Error(err)
		}
	})
	t.Run("path too long", func(t *testing.T) {
		wantError(t, Dial("/"+strings.Repeat("x", maxSocketPath)), "shorter data_dir")
	})
	t.Run("not our server", func(t *testing.T) {
		path := shortPath(t)
		answering(t, path, "HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\nno")
		wantError(t, Dial(path), "does not speak like a Jackfield server", "404")
	})
	t.Run("not JSON", func(t *testing.T) {
		path := shortPath(t)
		answering(t, path, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nno")
		wantError(t, Dial(path), "does not speak like a Jackfield server")
	})
	t.Run("gone at once", func(t *testing.T) {
		path := shortPath(t)
		answering(t, path, "")
		wantError(t, Dial(path), "did not answer")
	})
}

func wantError(t *testing.T, client *Client, parts ...string) {
	t.Helper()
	_, err := client.Sessions(t.Context())
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

func TestReload(t *testing.T) {
	path := shortPath(t)
	serveSocket(t, path, newTable())
	client := Dial(path)
	got, err := client.Reload(t.Context())
	if want := (Reloaded{Generation: 2, Cut: 1, Warnings: "careful"}); err != nil || got != want {
		t.Errorf("got %+v, %v; want %+v", got, err, want)
	}
	_, err = client.Reload(t.Context())
	refusal := jackfield.AsError(err)
	if refusal.Kind != jackfield.Invalid || refusal.Message != "jackfield.hcl:3: bad\n  and worse" {
		t.Errorf("got %#v", err)
	}
}
