package admin

import (
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"

	"golang.org/x/net/netutil"
)

// maxConnections is how many connections to the port are served at once; more wait. Each ends after one answer, so no user of
// this machine can hold the server's descriptors.
const maxConnections = 32

// ListenPort listens on a loopback address for whoever collects metrics and watches health. ready says whether the
// server accepts clients now.
func ListenPort(address string, metrics http.Handler, ready func() bool, log *slog.Logger) (*Server, error) {
	resolved, err := ResolveLoopback(address)
	if err != nil {
		return nil, err
	}
	listener, err := net.ListenTCP("tcp", resolved)
	if err != nil {
		return nil, fmt.Errorf("admin port: %w", err)
	}
	return newServer(netutil.LimitListener(listener, maxConnections), portHandler(metrics, ready), log), nil
}

// ResolveLoopback returns the address to listen on, or an error if others than this machine could reach it.
func ResolveLoopback(address string) (*net.TCPAddr, error) {
	resolved, err := net.ResolveTCPAddr("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("admin port: %w", err)
	}
	if !resolved.IP.IsLoopback() {
		return nil, fmt.Errorf("admin port: %q is not a loopback address, and the port knows no identities: "+
			"use 127.0.0.1:PORT or [::1]:PORT", address)
	}
	return resolved, nil
}

func portHandler(metrics http.Handler, ready func() bool) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", metrics)
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, http.StatusOK, "ok")
	})
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		if !ready() {
			answer(w, http.StatusServiceUnavailable, "not ready")
			return
		}
		answer(w, http.StatusOK, "ready")
	})
	return mux
}

func answer(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	io.WriteString(w, text+"\n")
}
