//go:build linux

package peer

import (
	"context"
	"fmt"
	"net"

	"jackfield/bench/process"
)

// FRP is frp: frps listens for clients when frpc, the device, asks for that.
type FRP struct {
	// Plain is frp at its fastest: without TLS, a connection for each stream, and five of them ready, the most that frps
	// allows unless it is told otherwise. Without it, everything is at its default: TLS, and all streams in one connection.
	Plain bool
}

// Name says which of the two it is.
func (f FRP) Name() string {
	if f.Plain {
		return "frp, plain"
	}
	return "frp, TLS"
}

// Installed looks for the programs, which bench/peers.sh builds.
func (FRP) Installed() error {
	for _, name := range []string{"frps", "frpc"} {
		if _, err := findUnpacked("frp", name); err != nil {
			return err
		}
	}
	return nil
}

// Version asks frps --version.
func (FRP) Version(ctx context.Context) (string, error) {
	path, err := findUnpacked("frp", "frps")
	if err != nil {
		return "", err
	}
	return versionLine(ctx, "", path, "--version")
}

// Command has frps listen on loopback.
func (f FRP) Command(p Place) (process.Spec, error) {
	host, port, err := net.SplitHostPort(p.Link)
	if err != nil {
		return process.Spec{}, err
	}
	text := fmt.Sprintf("bindAddr = %q\nbindPort = %s\nproxyBindAddr = %q\n", host, port, host)
	if f.Plain {
		text += "transport.tcpMux = false\n"
	}
	return p.frp("frps", text)
}

// Device asks frps to listen for clients.
func (f FRP) Device(p Place) (process.Spec, error) {
	var ports [3]string
	for k, address := range []string{p.Link, p.Service, p.Listen} {
		var err error
		if _, ports[k], err = net.SplitHostPort(address); err != nil {
			return process.Spec{}, err
		}
	}
	text := "serverAddr = \"127.0.0.1\"\nserverPort = " + ports[0] + "\n"
	if f.Plain {
		text += "transport.tls.enable = false\ntransport.tcpMux = false\ntransport.poolCount = 5\n"
	}
	return p.frp("frpc", text+fmt.Sprintf(frpProxy, ports[1], ports[2]))
}

const frpProxy = `
[[proxies]]
name       = "sink"
type       = "tcp"
localIP    = "127.0.0.1"
localPort  = %s
remotePort = %s
`

// frp is how to start one of the two programs with a configuration.
func (p Place) frp(name, text string) (process.Spec, error) {
	path, err := findUnpacked("frp", name)
	if err != nil {
		return process.Spec{}, err
	}
	program, err := p.bring(path)
	if err != nil {
		return process.Spec{}, err
	}
	file, err := p.write(name+".toml", text)
	return process.Spec{Path: program, Args: []string{"-c", file}}, err
}
