//go:build !linux

package relay

// limitUnsent is Linux's alone: elsewhere the kernel's buffer for a slow peer counts as taken by it.
func (*peer) limitUnsent() {}
