//go:build !unix

package link

import (
	"errors"
	"syscall"
)

// isStale cannot tell here: the stream finds out, and takes another connection.
func isStale(*dataConn) bool { return false }

func isReset(err error) bool { return errors.Is(err, syscall.ECONNRESET) }
