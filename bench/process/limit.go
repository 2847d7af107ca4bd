//go:build linux

package process

import "syscall"

// wantedDescriptors is enough for a thousand sessions through any peer, and no more than haproxy's own arithmetic likes.
const wantedDescriptors = 20_000

// RaiseDescriptorLimit raises the soft limit of open files as far as the hard one allows, for us and for what we start
// (which Go would otherwise give the limit that we were started with). It returns the limit now in force.
func RaiseDescriptorLimit() (uint64, error) {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return 0, err
	}
	limit.Cur = min(limit.Max, max(limit.Cur, wantedDescriptors))
	return limit.Cur, syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit)
}
