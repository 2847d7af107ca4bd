//go:build linux

package peer

import (
	"context"
	"fmt"
	"net"

	"jackfield/bench/process"
)

// Xinetd speaks TCPMUX for programs only. It forwards on a port of its own, without a name.
type Xinetd struct{}

// Name is "xinetd".
func (Xinetd) Name() string { return "xinetd" }

// Installed looks for xinetd.
func (Xinetd) Installed() error {
	_, err := findUnpacked("xinetd", "usr/sbin/xinetd")
	return err
}

// Version asks xinetd -version.
func (Xinetd) Version(ctx context.Context) (string, error) {
	path, err := findUnpacked("xinetd", "usr/sbin/xinetd")
	if err != nil {
		return "", err
	}
	return versionLine(ctx, "2", path, "-version")
}

// Command lifts the limits and logs no session.
func (Xinetd) Command(p Place) (process.Spec, error) {
	path, err := findUnpacked("xinetd", "usr/sbin/xinetd")
	if err != nil {
		return process.Spec{}, err
	}
	_, listen, err := net.SplitHostPort(p.Listen)
	if err != nil {
		return process.Spec{}, err
	}
	_, forward, err := net.SplitHostPort(p.Forward)
	if err != nil {
		return process.Spec{}, err
	}
	host, service, err := net.SplitHostPort(p.Service)
	if err != nil {
		return process.Spec{}, err
	}
	file, err := p.write("xinetd.conf", fmt.Sprintf(xinetdConfig, listen, forward, host, service))
	return process.Spec{Path: path, Args: []string{"-dontfork", "-f", file,
		"-filelog", "/dev/stderr", "-pidfile", p.Dir + "/pid"}}, err
}

const xinetdConfig = `defaults
{
    cps        = 100000 1
    instances  = UNLIMITED
    per_source = UNLIMITED
}
service tcpmux
{
    type        = INTERNAL UNLISTED
    id          = tcpmux
    bind        = 127.0.0.1
    port        = %s
    socket_type = stream
    protocol    = tcp
    wait        = no
    user        = root
}
service cat
{
    type        = TCPMUXPLUS UNLISTED
    server      = /bin/cat
    socket_type = stream
    protocol    = tcp
    wait        = no
    user        = root
}
service sink
{
    type        = UNLISTED
    bind        = 127.0.0.1
    port        = %s
    redirect    = %s %s
    socket_type = stream
    protocol    = tcp
    wait        = no
    user        = root
}
`

// Way leads to the forwarding port without a name, and for the echo to /bin/cat.
func (Xinetd) Way(p Place, kind Kind) (Way, bool) {
	if kind == Forward {
		return Way{Address: p.Forward}, true
	}
	return Way{Address: p.Listen, Service: "cat"}, true
}
