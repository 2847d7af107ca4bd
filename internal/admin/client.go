package admin

import (
	"errors"
	"fmt"
	"io/fs"

	"jackfield/internal/api"
)

// Dial makes a client of the server that listens on the socket. It connects when it is asked something. Its errors say what to do.
func Dial(socketPath string) (*api.Client, error) {
	if err := checkSocketPath(socketPath); err != nil {
		return nil, err
	}
	return api.NewClient(api.ClientOptions{Socket: socketPath, Explain: func(err error) error { return explain(socketPath, err) }})
}

// explain says what to do about a server that cannot be asked; nil if there is no more to say than the error does.
func explain(path string, err error) error {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("no server runs with %s: start one with \"jackfield serve\", or name its socket with --socket", path)
	case isRefused(err):
		return fmt.Errorf("the server that ran with %s has ended: start one with \"jackfield serve\", or name its socket with --socket", path)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("you may not use %s: run this as the server's user or as root", path)
	}
	return nil
}
