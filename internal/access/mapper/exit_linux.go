package mapper

import "golang.org/x/sys/unix"

// awaitExit returns when the process has exited, and reports that it knows: it leaves the process to be waited for, so its
// number, and that of its group, are nobody else's yet.
func awaitExit(pid int) bool {
	for {
		err := unix.Waitid(unix.P_PID, pid, nil, unix.WEXITED|unix.WNOWAIT, nil)
		if err != unix.EINTR {
			return err == nil
		}
	}
}
