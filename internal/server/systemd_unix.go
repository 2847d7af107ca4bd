//go:build unix

package server

import (
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// firstPassed is SD_LISTEN_FDS_START of sd_listen_fds(3).
const firstPassed = 3

// checkPassed finds out whether the sockets that LISTEN_FDS promises are there. It must come before they are taken and before
// the server listens itself: what is not a passed socket is the server's own descriptor, which taking would destroy.
func checkPassed() error {
	pid, count := os.Getenv("LISTEN_PID"), os.Getenv("LISTEN_FDS")
	if pid != strconv.Itoa(os.Getpid()) || count == "" {
		return nil // they are for another process, if for any
	}
	n, err := strconv.Atoi(count)
	if err != nil || n < 0 {
		return fmt.Errorf("LISTEN_FDS is %q, which is no number of sockets: unset it, or have systemd set it", count)
	}
	for i := range n {
		listening, err := unix.GetsockoptInt(firstPassed+i, unix.SOL_SOCKET, unix.SO_ACCEPTCONN)
		if err != nil || listening == 0 {
			return fmt.Errorf("LISTEN_FDS promises %d sockets, but descriptor %d is not a listening socket: unset LISTEN_FDS, "+
				"or have systemd set it", n, firstPassed+i)
		}
	}
	return nil
}
