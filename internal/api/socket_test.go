package api_test

import (
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"jackfield/internal/api"
)

// serveSocket serves on a Unix socket until the test ends, and returns a client of it.
func serveSocket(t *testing.T, handler http.Handler) *api.Client {
	t.Helper()
	directory, err := os.MkdirTemp("", "jf") // t.TempDir's name may be too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(directory) })
	path := filepath.Join(directory, "s")
	listener, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	server := &httptest.Server{Listener: listener, Config: &http.Server{Handler: handler}}
	server.Start()
	t.Cleanup(server.Close)
	client, err := api.NewClient(api.ClientOptions{Socket: path})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return client
}
