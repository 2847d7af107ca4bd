package server_test

import (
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"jackfield"
	"jackfield/internal/config"
	"jackfield/internal/logtest"
	"jackfield/internal/server"
)

// ends is told how sessions end.
type ends chan jackfield.End

func (ends) Opened(*jackfield.Record) error { return nil }
func (ends) Refused(*jackfield.Record)      {}
func (e ends) Closed(r *jackfield.Record)   { e <- r.End }

// A relayed program that has answered and exited was not reset by that, although its client sends more.
func TestProgramExitsInOrder(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "jackfield.hcl")
	text := strings.ReplaceAll(`
data_dir = "DIR/data"
listener "bye" {
  protocol = "tcp"
  listen   = "127.0.0.1:0"
  service  = "bye"
}
service "bye" {
  command      = ["/bin/echo", "bye"]
  idle_timeout = "1m"
}
`, "DIR", dir)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	c, problems := config.Load(path)
	if c == nil {
		t.Fatal(problems.List())
	}
	var log logtest.Buffer
	ended := make(ends, 1)
	s, err := server.Start(server.Options{
		Path: path, Config: c, Log: slog.New(slog.NewJSONHandler(&log, nil)), Level: new(slog.LevelVar), Version: "test",
		Recorder: ended,
	})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	address := listening(t, &log)
	for range 20 {
		if answer, err := sayMore(address); answer != "bye\n" || err != nil {
			t.Fatalf("got %q, %v", answer, err)
		}
		if end := <-ended; end.Cause != jackfield.EndFinished {
			t.Fatalf("end = %+v", end)
		}
	}
}

// sayMore reads the whole answer, says something all the same, and ends its side.
func sayMore(address string) (answer string, err error) {
	conn, err := net.Dial("tcp", address)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, "hello"); err != nil {
		return "", err
	}
	all, err := io.ReadAll(conn)
	if err != nil {
		return string(all), err
	}
	io.WriteString(conn, "more") // fails only on a machine so slow that the session is over
	conn.(*net.TCPConn).CloseWrite()
	return string(all), nil
}
