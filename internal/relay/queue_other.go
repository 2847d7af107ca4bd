//go:build !linux

package relay

// queued is not known here.
func (*peer) queued() int { return 0 }

// unsettled is not known here: a reset follows at once.
func (*peer) unsettled() bool { return false }

// disguisedReset is Linux's alone: elsewhere a write does not take the error from the read.
func (*peer) disguisedReset() error { return nil }
