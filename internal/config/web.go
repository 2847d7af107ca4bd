package config

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

const maxNames = 64 // of one listener: all stand in its certificate

var (
	httpsOnly = []string{`"https"`}
	httpOnly  = []string{`"http"`}
	webOnly   = slices.Concat(httpsOnly, httpOnly)
	tlsOnly   = slices.Concat(httpsOnly, mihiniOnly)
)

// webAttributes stand in listeners: those of HTTP, and those of TLS, which "mihini" can have, too.
var webAttributes = []attribute{
	{
		name: "tls", kind: boolean{}, fallback: "false", only: mihiniOnly,
		doc: "Devices come with TLS and a client certificate of the server's certificate authority, whose name is the device's. `false`: without, as original devices do.",
	},
	{
		name: "names", kind: list{of: "DNS names or IP addresses"}, only: slices.Concat(webOnly, mihiniOnly),
		doc: "What the server is reached by, besides `localhost`. Its own certificate is for these names, and an HTTP request for another host is refused. " +
			"With protocol `mihini` only with `tls = true`. Unset: `localhost` alone.",
	},
	{
		name: "certificate_file", kind: text{what: "path", check: checkPath}, only: tlsOnly,
		doc: "Your own certificate and its chain (PEM), read anew when it changes. `key_file` must stand beside it. With protocol `mihini` only with `tls = true`. " +
			"Unset: the server's certificate authority makes a certificate and renews it.",
	},
	{
		name: "key_file", kind: text{what: "path", check: checkPath}, only: tlsOnly,
		doc: "The certificate's private key (PEM).",
	},
	{
		name: "min_tls", kind: word{"1.2", "1.3"}, fallback: "1.3", only: tlsOnly,
		doc: "The oldest version of TLS that is spoken. With protocol `mihini` only with `tls = true`.",
	},
	{
		name: "client_certificates", kind: word{"off", "optional"}, fallback: "off", only: httpsOnly,
		doc: "Whether a client is asked for a certificate to prove who it is. Browsers ask the person then, so `off` is for them.",
	},
	{
		name: "agents", kind: boolean{}, fallback: "true", only: httpsOnly,
		doc: "Whether [agents](#agent-name-or-pattern) may enrol and link here.",
	},
	{
		name: "insecure", kind: boolean{}, fallback: "false", only: httpOnly,
		doc: "Listen for other machines, too. Passwords and tokens are then read by whoever sits on the way. `false`: the host in `listen` must be a loopback address.",
	},
	{
		name: "max_connections", kind: count{1, maxCount}, fallback: "1000", only: webOnly,
		doc: "How many connections may be open at once.",
	},
	{
		name: "max_connections_per_source", kind: count{1, maxCount}, fallback: "100", only: webOnly,
		doc: "How many of them one source may have: an IPv4 address, or an IPv6 network of 64 bits.",
	},
}

// web decodes what webAttributes say.
func (s *section) web(out *Listener) {
	out.TLS = s.boolean("tls")
	out.Names = s.hostNames("names")
	out.CertificateFile, out.KeyFile = s.path(s.text("certificate_file")), s.path(s.text("key_file"))
	out.MinTLS = s.word("min_tls")
	out.ClientCertificates = s.word("client_certificates")
	out.Insecure = s.boolean("insecure")
	out.MaxConnections = s.count("max_connections")
	out.MaxConnectionsPerSource = s.count("max_connections_per_source")
}

// checkTLS reports what a listener without TLS cannot have: arguments of TLS, and clients that send their secrets across a
// network. With TLS it looks at the certificate.
func (s *section) checkTLS(out *Listener) {
	switch {
	case out.Protocol == "https" || out.Protocol == "mihini" && out.TLS:
		s.checkKeyPair()
		if !s.has("names") && !s.has("certificate_file") && out.Listen != "" && !isLoopback(out.Listen) {
			s.warn(s.header, "Listener without names", `Its certificate is for localhost alone, so no other machine can be sure of it: say in "names" what it is reached by.`)
		}
	case out.Protocol == "mihini":
		for _, name := range []string{"names", "certificate_file", "key_file", "min_tls"} {
			if s.has(name) {
				s.fail(s.attributes[name].NameRange, "Argument out of place", `With protocol "mihini", %q may stand only with tls = true.`, name)
			}
		}
	case out.Protocol == "http" && !out.Insecure && out.Listen != "" && !isLoopback(out.Listen):
		s.bad(s.at("listen"), "listen", "without TLS everybody on the way can read passwords and tokens, so the host must be "+loopbackHosts+
			`; or take protocol "https", or say insecure = true`)
	}
}

// checkKeyPair reports a certificate without its key, or the other way around.
func (s *section) checkKeyPair() { s.checkPair("certificate_file", "key_file") }

// checkPair reports one of two arguments that stands without the other.
func (s *section) checkPair(one, other string) {
	for _, pair := range [][2]string{{one, other}, {other, one}} {
		if s.has(pair[0]) && !s.has(pair[1]) {
			s.missing(s.attributes[pair[0]].NameRange, "Missing required argument", "%q is required beside %q.", pair[1], pair[0])
		}
	}
}

// hostNames returns DNS names in lower case and IP addresses in their canonical form.
func (s *section) hostNames(name string) []string {
	var names []string
	for _, element := range s.list(name) {
		host, err := parseHostName(element.text)
		switch {
		case err != nil:
			s.bad(element.at, name, err.Error())
		case slices.Contains(names, host):
			s.bad(element.at, name, "this name is in the list already")
		case len(names) == maxNames:
			s.bad(element.at, name, fmt.Sprintf("a listener may have at most %d names", maxNames))
			return names
		default:
			names = append(names, host)
		}
	}
	return names
}

// parseHostName reads a DNS name or an IP address. The error does not quote s.
func parseHostName(s string) (string, error) {
	if address, err := netip.ParseAddr(s); err == nil && address.Zone() == "" {
		return address.Unmap().String(), nil
	}
	if checkHostName(s) != nil {
		return "", errors.New(`a name is a DNS name without "*", such as "jackfield.example.org", or an IP address without a port`)
	}
	return strings.ToLower(s), nil
}
