package e2e

import (
	"context"
	"io"
	"net"
)

// backends are kinds of services. Each serves one client, whose connection is closed afterwards, or when ctx ends.
var backends = map[string]func(context.Context, *net.TCPConn){
	"echo": func(_ context.Context, conn *net.TCPConn) { io.Copy(conn, conn) },

	// Answers only after the client's end.
	"reply": func(_ context.Context, conn *net.TCPConn) {
		if said, err := io.ReadAll(conn); err == nil {
			io.WriteString(conn, "got "+string(said))
		}
	},

	"closes": func(context.Context, *net.TCPConn) {},

	// Never reads.
	"deaf": func(ctx context.Context, _ *net.TCPConn) { <-ctx.Done() },
}

// startBackend serves on a free port until stop is called.
func startBackend(service func(context.Context, *net.TCPConn)) (address string, stop func(), err error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	context.AfterFunc(ctx, func() { ln.Close() })
	go func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				defer context.AfterFunc(ctx, func() { conn.Close() })()
				service(ctx, conn.(*net.TCPConn))
			}()
		}
	}()
	return ln.Addr().String(), cancel, nil
}
