//go:build linux

package process

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
)

// FreeAddress returns a loopback address that nobody listens on, for a program that must be told its port. The port lies
// below those that the kernel hands to outgoing connections, so a benchmark's own clients cannot take it meanwhile.
func FreeAddress() (string, error) {
	const low, high, tries = 20_000, 32_000, 100
	for range tries {
		address := fmt.Sprintf("127.0.0.1:%d", low+rand.IntN(high-low))
		l, err := net.Listen("tcp4", address)
		if err != nil {
			continue
		}
		return address, l.Close()
	}
	return "", errors.New("no free port on 127.0.0.1 between 20000 and 32000")
}
