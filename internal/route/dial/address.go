package dial

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"path/filepath"
	"strings"
)

// An address is where a service listens, in the words of net.Dial.
type address struct {
	network string // "tcp" or "unix"
	address string
}

const unixPrefix = "unix:"

func parseAddresses(words []string) ([]address, error) {
	if len(words) == 0 {
		return nil, errors.New("there is no address to dial")
	}
	addresses := make([]address, len(words))
	var wrong []error
	for i, word := range words {
		a, err := parseAddress(word)
		if err != nil {
			wrong = append(wrong, fmt.Errorf("address %q: %w", word, err))
		}
		addresses[i] = a
	}
	return addresses, errors.Join(wrong...)
}

func parseAddress(word string) (address, error) {
	if path, ok := strings.CutPrefix(word, unixPrefix); ok {
		if !filepath.IsAbs(path) {
			return address{}, errors.New(`"unix:" needs an absolute path behind it`)
		}
		return address{network: "unix", address: path}, nil
	}
	host, port, err := net.SplitHostPort(word)
	if err != nil {
		return address{}, errors.New(`it has to be "host:port", "[v6]:port" or "unix:/path"`)
	}
	if err := checkHost(host); err != nil {
		return address{}, err
	}
	return address{network: "tcp", address: word}, checkPort(port)
}

// checkHost tells a name from a mistake, as far as that can be told without resolving it.
func checkHost(host string) error {
	switch {
	case host == "":
		return errors.New("the host is missing")
	case strings.ContainsAny(host, " \t\r\n/"):
		return fmt.Errorf("%q is neither a host name nor an IP address", host)
	case strings.Contains(host, ":"):
		if _, err := netip.ParseAddr(host); err != nil {
			return fmt.Errorf("%q is no IPv6 address", host)
		}
	}
	return nil
}

// checkPort takes a number from 1 to 65535, or a service's name that this system knows (/etc/services).
func checkPort(port string) error {
	number, err := net.LookupPort("tcp", port)
	switch {
	case err != nil:
		return fmt.Errorf("%q is neither a port from 1 to 65535 nor the name of one", port)
	case number == 0:
		return errors.New("the port is missing or 0")
	}
	return nil
}
