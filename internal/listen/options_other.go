//go:build !linux

package listen

import "net"

// listenConfig leaves keepalive to the net package, which sets it on each accepted connection.
func listenConfig() net.ListenConfig { return net.ListenConfig{} }
