//go:build linux

package peer

import (
	"context"
	"fmt"

	"jackfield/bench/process"
)

// HAProxy is what the others are compared with.
type HAProxy struct{}

// Name is "haproxy".
func (HAProxy) Name() string { return "haproxy" }

// Installed looks for haproxy.
func (HAProxy) Installed() error {
	_, err := find("haproxy")
	return err
}

// Version asks haproxy -v.
func (HAProxy) Version(ctx context.Context) (string, error) {
	path, err := find("haproxy")
	if err != nil {
		return "", err
	}
	return versionLine(ctx, "ersion", path, "-v")
}

const haproxyConfig = "haproxy.cfg"

// Command splices in the kernel where haproxy thinks it right. 4,000 connections and their pipes fit into 20,000
// descriptors.
func (HAProxy) Command(p Place) (process.Spec, error) {
	path, err := find("haproxy")
	if err != nil {
		return process.Spec{}, err
	}
	file, err := p.write(haproxyConfig, fmt.Sprintf(`global
    nbthread 2
    maxconn 4000
defaults
    mode tcp
    option splice-auto
    timeout connect 10s
    timeout client 1h
    timeout server 1h
listen bench
    bind %s
    server sink %s
`, p.Listen, p.Service))
	return process.Spec{Path: path, Args: []string{"-db", "-f", file}}, err
}
