//go:build unix

package cli

import "golang.org/x/sys/unix"

// descriptorLimit raises the soft limit on open descriptors to the hard one, as far as the system lets it, and returns what
// is in force. (Go's runtime raises it too, but not for every way in which a process is started.)
func descriptorLimit() uint64 {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return 0
	}
	if limit.Cur < limit.Max {
		raised := unix.Rlimit{Cur: limit.Max, Max: limit.Max}
		if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &raised); err == nil {
			return uint64(raised.Cur)
		}
	}
	return uint64(limit.Cur)
}
