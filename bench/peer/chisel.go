//go:build linux

package peer

import (
	"context"
	"net"

	"jackfield/bench/process"
)

// Chisel tunnels through SSH in a WebSocket. Its server listens for clients when its client, the device, asks for that.
type Chisel struct{}

// Name says what the link has that Jackfield's has not.
func (Chisel) Name() string { return "chisel, encrypted" }

// Installed looks for the program, which bench/peers.sh builds.
func (Chisel) Installed() error {
	_, err := chisel()
	return err
}

func chisel() (string, error) { return findUnpacked("chisel", "chisel") }

// Version asks chisel --version.
func (Chisel) Version(ctx context.Context) (string, error) {
	path, err := chisel()
	if err != nil {
		return "", err
	}
	return versionLine(ctx, "", path, "--version")
}

// Command leaves everything at its default: the server makes a key for itself, and asks for no password.
func (Chisel) Command(p Place) (process.Spec, error) {
	path, err := chisel()
	if err != nil {
		return process.Spec{}, err
	}
	host, port, err := net.SplitHostPort(p.Link)
	if err != nil {
		return process.Spec{}, err
	}
	program, err := p.bring(path)
	return process.Spec{Path: program, Args: []string{"server", "--host", host, "--port", port, "--reverse"}}, err
}

// Device asks the server to listen for clients.
func (Chisel) Device(p Place) (process.Spec, error) {
	path, err := chisel()
	if err != nil {
		return process.Spec{}, err
	}
	return process.Spec{Path: p.brought(path), Args: []string{"client", "http://" + p.Link, "R:" + p.Listen + ":" + p.Service}}, nil
}
