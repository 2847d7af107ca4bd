//go:build !unix

package cli

// descriptorLimit returns 0: the system has no such limit.
func descriptorLimit() uint64 { return 0 }
