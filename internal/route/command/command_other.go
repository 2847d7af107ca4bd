//go:build !linux

package command

import (
	"context"
	"errors"
	"net"

	"jackfield"
)

var errSystem = errors.New("services that are programs need Linux")

// A Launcher starts no programs here.
type Launcher struct{}

// NewLauncher returns a Launcher.
func NewLauncher() *Launcher { return new(Launcher) }

// Close does nothing here.
func (*Launcher) Close() {}

// A Route cannot be made here.
type Route struct{}

var _ jackfield.SocketTaker = (*Route)(nil)

// New fails.
func New(Options) (*Route, error) { return nil, errSystem }

// String returns "command".
func (*Route) String() string { return "command" }

// Open fails.
func (*Route) Open(context.Context, *jackfield.Request) (jackfield.Stream, error) {
	return nil, errSystem
}

// TakeSocket fails.
func (*Route) TakeSocket(context.Context, *jackfield.Request, *net.TCPConn) (jackfield.Taken, error) {
	return nil, errSystem
}

// Survivors finds none here.
func Survivors(string) ([]Survivor, error) { return nil, nil }
