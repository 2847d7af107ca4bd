//go:build !linux || !(amd64 || arm64)

package forkserver

import "syscall"

// Supported says whether there are fork servers on this system.
const Supported = false

// MaxRequest is the size in bytes of the largest encoded Spec.
const MaxRequest = 0

// Encode fails.
func (*Spec) Encode(uint64, bool) ([]byte, error) { return nil, syscall.EINVAL }
