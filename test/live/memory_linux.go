package live

import (
	"os"

	"golang.org/x/sys/unix"
)

// enough is how many bytes must be free for temporary files in memory.
const enough = 4 << 30

// enterMemory has temporary files in memory, where there is room. A server waits for the disk at each change; with many of them at a
// time, and a compiler's output, that may be seconds. (A soak has time, and uses the disk.)
func enterMemory() {
	const memory = "/dev/shm"
	var fs unix.Statfs_t
	if os.Getenv("TMPDIR") != "" || soaks() || unix.Statfs(memory, &fs) != nil {
		return
	}
	unfit := fs.Flags&(unix.ST_NOEXEC|unix.ST_NODEV|unix.ST_RDONLY) != 0
	if fs.Type == unix.TMPFS_MAGIC && !unfit && fs.Bavail*uint64(fs.Bsize) >= enough {
		os.Setenv("TMPDIR", memory)
	}
}
