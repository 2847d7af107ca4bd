package config

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"unicode"

	"jackfield"
)

// The checks of strings. Their errors do not quote the string: it may be a secret.

const maxText = 200 // bytes of a message or description

// checkMessage accepts what every protocol can carry in its answer.
func checkMessage(s string) error {
	if len(s) > maxText {
		return fmt.Errorf("it may have %d bytes and has %d", maxText, len(s))
	}
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return errors.New("only printable ASCII characters are allowed, on one line")
		}
	}
	return nil
}

func checkDescription(s string) error {
	if len(s) > maxText {
		return fmt.Errorf("it may have %d bytes and has %d", maxText, len(s))
	}
	if strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return errors.New("only printable characters are allowed, on one line")
	}
	return nil
}

func checkPath(s string) error {
	if s == "" || strings.Contains(s, "\x00") {
		return errors.New("a path is required")
	}
	return nil
}

// checkListen accepts "host:port" where the host may be empty (all addresses) and the port 0 (any free one).
func checkListen(s string) error { return checkHostPort(s, true) }

func checkLoopback(s string) error {
	if err := checkListen(s); err != nil {
		return err
	}
	if !isLoopback(s) {
		return errors.New("the host must be " + loopbackHosts)
	}
	return nil
}

const loopbackHosts = "a loopback address: 127.0.0.1, ::1 or localhost"

// isLoopback wants what checkListen accepts.
func isLoopback(listen string) bool {
	host, _, _ := net.SplitHostPort(listen)
	address, err := netip.ParseAddr(host)
	return err == nil && address.Unmap().IsLoopback() || strings.EqualFold(host, "localhost")
}

// checkDial accepts "host:port" and "unix:/path".
func checkDial(s string) error {
	path, isUnix := strings.CutPrefix(s, "unix:")
	switch {
	case !isUnix:
		return checkHostPort(s, false)
	case !strings.HasPrefix(path, "/") || strings.Contains(path, "\x00"):
		return errors.New(`"unix:" needs an absolute path behind it, such as "unix:/run/app.sock"`)
	}
	return nil
}

// CheckListen says what keeps s from being an address to listen on, "host:port".
func CheckListen(s string) error { return checkListen(s) }

// CheckAddress says what keeps s from being an address to dial, "host:port".
func CheckAddress(s string) error { return checkHostPort(s, false) }

// CheckDeviceAddress says what keeps s from being an address that a device or agent dials, "host:port" or ":port".
func CheckDeviceAddress(s string) error { return checkDeviceDial(s) }

// checkDeviceDial accepts "host:port" where the host may be empty: the device's or agent's own.
func checkDeviceDial(s string) error {
	if strings.HasPrefix(s, ":") {
		s = "127.0.0.1" + s
	}
	return checkHostPort(s, false)
}

// portRange splits "host:first-last" into the addresses that it stands for. An address with one port is itself.
func portRange(s string) []string {
	host, ports, err := net.SplitHostPort(s)
	first, last, ranged := strings.Cut(ports, "-")
	if err != nil || !ranged {
		return []string{s}
	}
	from, err1 := strconv.ParseUint(first, 10, 16)
	to, err2 := strconv.ParseUint(last, 10, 16)
	if err1 != nil || err2 != nil || from == 0 || to < from || to-from >= maxPorts {
		return nil
	}
	var addresses []string
	for port := from; port <= to; port++ {
		addresses = append(addresses, net.JoinHostPort(host, strconv.FormatUint(port, 10)))
	}
	return addresses
}

const maxPorts = 256 // of one listener

// checkListenRange accepts what checkListen does, and a range of ports.
func checkListenRange(s string) error {
	addresses := portRange(s)
	if addresses == nil {
		return fmt.Errorf(`a range of ports is "FIRST-LAST", of at most %d ports`, maxPorts)
	}
	return checkListen(addresses[0])
}

// withPort adds a port to an address that has none.
func withPort(s, port string) string {
	if _, _, err := net.SplitHostPort(s); err == nil {
		return s
	}
	return net.JoinHostPort(strings.TrimSuffix(strings.TrimPrefix(s, "["), "]"), port)
}

func checkHostPort(s string, listen bool) error {
	host, port, err := net.SplitHostPort(s)
	if err != nil {
		return errors.New(`an address is "host:port"; an IPv6 address stands in brackets, as in "[::1]:80"`)
	}
	lowest := 1
	if listen {
		lowest = 0
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || int(n) < lowest {
		return fmt.Errorf("the port must be a number from %d to 65535", lowest)
	}
	if host == "" && listen {
		return nil
	}
	return checkHost(host)
}

// checkHost tells a name or IP address from a mistake, as far as that can be told without resolving it.
func checkHost(host string) error {
	if _, err := netip.ParseAddr(host); err == nil {
		return nil
	}
	return checkHostName(strings.ReplaceAll(strings.TrimSuffix(host, "."), "_", "x")) // service discovery uses names with underscores
}

// checkHostName tells a DNS name from a mistake.
func checkHostName(host string) error {
	const maxHost = 253 // RFC 1035, section 2.3.4, without the root's dot
	if host == "" || len(host) > maxHost {
		return errors.New("the host is missing or too long")
	}
	labels := strings.Split(host, ".")
	for _, label := range labels {
		if jackfield.CheckLabel(label) != nil {
			return errors.New("the host is neither a name nor an IP address")
		}
	}
	if _, err := strconv.Atoi(labels[len(labels)-1]); err == nil { // RFC 1123, section 2.1
		return errors.New("the host looks like an IPv4 address and is none")
	}
	return nil
}

// canonicalAddress writes equal addresses alike. It wants what checkListen accepts.
func canonicalAddress(s string) string {
	host, port, _ := net.SplitHostPort(s)
	if address, err := netip.ParseAddr(host); err == nil {
		host = address.String()
	}
	n, _ := strconv.ParseUint(port, 10, 16)
	return net.JoinHostPort(strings.ToLower(host), strconv.FormatUint(n, 10))
}
