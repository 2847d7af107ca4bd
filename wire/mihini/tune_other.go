//go:build !linux

package mihini

import (
	"net"
	"time"
)

// setUserTimeout does nothing: what the system resends and for how long is its own affair here.
func setUserTimeout(*net.TCPConn, time.Duration) error { return nil }
