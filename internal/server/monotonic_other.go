//go:build !linux

package server

import "time"

// monotonic is 0: there is no systemd to compare with.
func monotonic() time.Duration { return 0 }
