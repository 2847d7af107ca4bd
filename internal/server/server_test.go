package server_test

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"jackfield/internal/config"
	"jackfield/internal/logtest"
	"jackfield/internal/server"
)

// A server serves from Start on, and Run ends without an error once its context does.
func TestStartAndRun(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "jackfield.hcl")
	text := strings.ReplaceAll(`
data_dir = "DIR/data"
listener "clock" {
  protocol = "tcp"
  listen   = "127.0.0.1:0"
  service  = "daytime"
}
service "daytime" {
  builtin = "daytime"
}
`, "DIR", filepath.ToSlash(dir))
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	c, problems := config.Load(path)
	if c == nil {
		t.Fatal(problems.List())
	}
	if failures := server.Check(c); len(failures) > 0 {
		t.Fatal(failures)
	}
	var log logtest.Buffer
	s, err := server.Start(server.Options{
		Path: path, Config: c, Log: slog.New(slog.NewJSONHandler(&log, nil)), Level: new(slog.LevelVar), Version: "test",
	})
	if err != nil {
		t.Fatal(err)
	}
	address := listening(t, &log)
	ctx, stop := context.WithCancel(t.Context())
	ran := make(chan error, 1)
	go func() { ran <- s.Run(ctx, nil) }()
	if answer := readAll(t, address); !strings.HasSuffix(answer, "\r\n") {
		t.Errorf("the service answered %q", answer)
	}
	stop()
	if err := <-ran; err != nil {
		t.Error(err)
	}
}

// listening finds the address of the only listener in the log.
func listening(t *testing.T, log *logtest.Buffer) string {
	t.Helper()
	var line struct{ Msg, Address string }
	lines := json.NewDecoder(strings.NewReader(log.String()))
	for line.Msg != "listening" {
		if err := lines.Decode(&line); err != nil {
			t.Fatalf("%v in\n%s", err, log)
		}
	}
	return line.Address
}

func readAll(t *testing.T, address string) string {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	answer, err := io.ReadAll(conn)
	if err != nil {
		t.Error(err)
	}
	return string(answer)
}
