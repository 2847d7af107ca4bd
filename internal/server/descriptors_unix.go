//go:build unix

package server

import "golang.org/x/sys/unix"

// descriptorLimit raises the soft limit on open descriptors to the hard one, as far as the system lets it, and returns what
// is in force. Most often Go's runtime has raised it already; it is then left alone, for the runtime gives programs that are
// started the limit that it found only as long as nobody else sets it.
func descriptorLimit() uint64 {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return 0
	}
	if limit.Cur+1 < limit.Max {
		raised := unix.Rlimit{Cur: limit.Max, Max: limit.Max}
		if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &raised); err == nil {
			return uint64(raised.Cur)
		}
	}
	return uint64(limit.Cur)
}
