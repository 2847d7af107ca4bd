//go:build !unix

package tcpmux

import "net"

// narrow returns the whole window: nothing can be peeked here.
func narrow(_ net.Conn, window []byte) ([]byte, error) { return window, nil }
