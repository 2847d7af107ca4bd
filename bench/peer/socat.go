//go:build linux

package peer

import (
	"context"
	"fmt"
	"net"

	"jackfield/bench/process"
)

// Socat forks a process for every connection.
type Socat struct{}

// Name is "socat".
func (Socat) Name() string { return "socat" }

// Installed looks for socat.
func (Socat) Installed() error {
	_, err := find("socat")
	return err
}

// Version asks socat -V.
func (Socat) Version(ctx context.Context) (string, error) {
	path, err := find("socat")
	if err != nil {
		return "", err
	}
	return versionLine(ctx, "socat version", path, "-V")
}

// Command gives the direction that is left after a half-close an hour, where socat's own half second would cut it, and a
// queue that a burst of connections does not fill.
func (Socat) Command(p Place) (process.Spec, error) {
	path, err := find("socat")
	if err != nil {
		return process.Spec{}, err
	}
	host, port, err := net.SplitHostPort(p.Listen)
	if err != nil {
		return process.Spec{}, err
	}
	listen := fmt.Sprintf("TCP4-LISTEN:%s,bind=%s,fork,reuseaddr,backlog=1024", port, host)
	return process.Spec{Path: path, Args: []string{"-t", "3600", listen, "TCP4:" + p.Service}}, nil
}
