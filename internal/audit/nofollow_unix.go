//go:build unix

package audit

import "golang.org/x/sys/unix"

const noFollow = unix.O_NOFOLLOW
