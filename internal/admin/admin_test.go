package admin

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"jackfield"
	"jackfield/internal/api"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var quiet = slog.New(slog.DiscardHandler)

// shortPath is a path in a directory of its own that fits into a socket's address, as t.TempDir's may not.
func shortPath(t *testing.T) string {
	t.Helper()
	directory, err := os.MkdirTemp("", "jf")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(directory) })
	return filepath.Join(directory, SocketName)
}

// serve runs the server until the test's end, or until stop.
func serve(t *testing.T, server *Server, err error) (stop func()) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve() }()
	stop = sync.OnceFunc(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		if err := server.Shutdown(ctx); err != nil {
			t.Errorf("Shutdown: %v", err)
		}
		if err := <-served; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	t.Cleanup(stop)
	return stop
}

// answerStatus is as much of the API as these tests need.
func answerStatus(w http.ResponseWriter, r *http.Request) {
	if err := PeerError(r); err != nil {
		w.WriteHeader(http.StatusForbidden)
		json.NewEncoder(w).Encode(api.Problem{Kind: jackfield.Denied, Detail: err.Error()})
		return
	}
	json.NewEncoder(w).Encode(api.Status{Version: "1.2.3"})
}

func serveSocket(t *testing.T, path string) (stop func()) {
	t.Helper()
	server, err := ListenSocket(path, quiet)
	if err == nil {
		server.SetHandler(http.HandlerFunc(answerStatus))
	}
	return serve(t, server, err)
}

// status asks the server on the socket.
func status(t *testing.T, path string) error {
	t.Helper()
	client, err := Dial(path)
	if err != nil {
		return err
	}
	defer client.Close()
	got, err := client.Status(t.Context())
	if err == nil && got.Version != "1.2.3" {
		t.Errorf("the status is %+v", got)
	}
	return err
}
