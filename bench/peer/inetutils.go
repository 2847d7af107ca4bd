//go:build linux

package peer

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"regexp"

	"jackfield/bench/process"
)

// Inetutils is GNU inetutils' inetd, which speaks TCPMUX for programs only.
type Inetutils struct{}

// Name is "inetutils-inetd".
func (Inetutils) Name() string { return "inetutils-inetd" }

// Installed looks for the daemon.
func (Inetutils) Installed() error {
	_, err := findUnpacked("inetutils-inetd", "usr/sbin/inetutils-inetd")
	return err
}

// Version asks inetutils-inetd --version.
func (Inetutils) Version(ctx context.Context) (string, error) {
	path, err := findUnpacked("inetutils-inetd", "usr/sbin/inetutils-inetd")
	if err != nil {
		return "", err
	}
	return versionLine(ctx, "inetutils", path, "--version")
}

// Command gives it a mount namespace with services of its own, where it looks up the port of tcpmux: it can be told in no
// other way. -d keeps it in the foreground.
func (Inetutils) Command(p Place) (process.Spec, error) {
	path, err := findUnpacked("inetutils-inetd", "usr/sbin/inetutils-inetd")
	if err != nil {
		return process.Spec{}, err
	}
	services, err := servicesWith(p.Listen)
	if err != nil {
		return process.Spec{}, err
	}
	file, err := p.write("services", services)
	if err != nil {
		return process.Spec{}, err
	}
	config, err := p.write("inetd.conf", inetutilsConfig)
	return process.Spec{Path: "/usr/bin/unshare", Args: []string{"--mount", "sh", "-c",
		`mount --bind "$0" /etc/services && exec "$@"`, file,
		path, "-d", "-R", "10000000", "-p" + p.Dir + "/pid", config}}, err
}

const inetutilsConfig = `127.0.0.1:tcpmux stream tcp nowait root internal
tcpmux/+cat stream tcp nowait root /bin/cat cat
`

var tcpmuxLine = regexp.MustCompile(`(?m)^tcpmux\s+1/tcp`)

// servicesWith is /etc/services with another port for tcpmux.
func servicesWith(listen string) (string, error) {
	_, port, err := net.SplitHostPort(listen)
	if err != nil {
		return "", err
	}
	services, err := os.ReadFile("/etc/services")
	if err != nil {
		return "", err
	}
	if !tcpmuxLine.Match(services) {
		return "", errors.New("/etc/services does not know tcpmux")
	}
	return tcpmuxLine.ReplaceAllLiteralString(string(services), fmt.Sprintf("tcpmux %s/tcp", port)), nil
}

// Way leads to /bin/cat, for the echo too; inetd does not forward.
func (Inetutils) Way(p Place, kind Kind) (Way, bool) {
	return Way{Address: p.Listen, Service: "cat"}, kind != Forward
}
