//go:build !unix

package server

// descriptorLimit returns 0: the system has no such limit.
func descriptorLimit() uint64 { return 0 }
