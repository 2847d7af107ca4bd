//go:build linux

package backend

import (
	"context"
	"net"
	"os"

	"jackfield/bench/process"
)

// Command is the argument that makes the benchmark's own binary run Child.
const Command = "backend"

// inherited is the descriptor on which a child finds its listener: the first after standard error.
const inherited = 3

// Start runs a backend in a child process, which is this program with Command as its argument, and returns its address.
func Start(s *process.Supervisor) (address string, err error) {
	free, err := process.FreeAddress()
	if err != nil {
		return "", err
	}
	l, err := net.Listen("tcp4", free)
	if err != nil {
		return "", err
	}
	defer l.Close()
	f, err := l.(*net.TCPListener).File()
	if err != nil {
		return "", err
	}
	defer f.Close()
	self, err := os.Executable()
	if err != nil {
		return "", err
	}
	_, err = s.Start(process.Spec{Path: self, Args: []string{Command}, Files: []*os.File{f}})
	return free, err
}

// Child serves on the listener that Start hands down, until ctx ends.
func Child(ctx context.Context) error {
	f := os.NewFile(inherited, "listener")
	l, err := net.FileListener(f)
	if err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	defer context.AfterFunc(ctx, func() { l.Close() })()
	return Serve(l)
}
