package authority

import (
	"crypto/x509"
	"errors"
	"fmt"
	"math/big"
	"net/url"
	"slices"
	"strings"

	"jackfield"
)

// A Kind is what sort of client a certificate is for.
type Kind string

// The kinds of clients.
const (
	User   Kind = "user"
	Device Kind = "device"
	Agent  Kind = "agent"
	Node   Kind = "node"
)

const maxName = 64 // bytes of a name: ub-common-name of RFC 5280, appendix A.1

// A Subject is who a client certificate is for.
type Subject struct {
	Kind Kind
	Name string // in lower case: of a user letters, digits, "-", "_", "." and "@"; else a DNS label
}

// String returns the subject as log and audit have it: "device meter-7".
func (s Subject) String() string { return string(s.Kind) + " " + s.Name }

// uri is how a certificate names its subject: a URI without authority (RFC 3986, section 3) under the scheme "jackfield".
func (s Subject) uri() *url.URL {
	return &url.URL{Scheme: scheme, Opaque: string(s.Kind) + ":" + s.Name}
}

const scheme = "jackfield"

func (s Subject) check() error {
	switch s.Kind {
	case User:
		if !isUserName(s.Name) {
			return fmt.Errorf("in a certificate a user's name has 1 to %d lower case letters, digits, hyphens, underscores, dots and at signs,"+
				" and begins with a letter or digit", maxName)
		}
	case Device, Agent, Node:
		if jackfield.CheckLabel(s.Name) != nil || s.Name != strings.ToLower(s.Name) {
			return fmt.Errorf("in a certificate the name of the %s is a DNS label in lower case", s.Kind)
		}
	default:
		return errors.New("a certificate is for a user, device, agent or node")
	}
	return nil
}

func isUserName(s string) bool {
	if s == "" || len(s) > maxName {
		return false
	}
	for i := range len(s) {
		letter := 'a' <= s[i] && s[i] <= 'z' || '0' <= s[i] && s[i] <= '9'
		if !letter && (i == 0 || !strings.ContainsRune("-_.@", rune(s[i]))) {
			return false
		}
	}
	return true
}

// ParsePeer returns who a client certificate is for, and its serial number: 32 hexadecimal digits. That it comes from the
// authority and is in force, the handshake has found out.
func ParsePeer(c *x509.Certificate) (s Subject, serial string, err error) {
	if c == nil {
		return Subject{}, "", errors.New("there is no certificate")
	}
	if s, err = parseSubject(c); err != nil {
		return Subject{}, "", err
	}
	if serial, err = formatSerial(c.SerialNumber); err != nil {
		return Subject{}, "", err
	}
	return s, serial, nil
}

// parseSubject accepts exactly what Sign puts into a certificate.
func parseSubject(c *x509.Certificate) (Subject, error) {
	forClients := []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	if c.IsCA || !slices.Equal(c.ExtKeyUsage, forClients) || len(c.UnknownExtKeyUsage) > 0 {
		return Subject{}, errors.New("the certificate is not one for clients")
	}
	if len(c.URIs) != 1 || len(c.DNSNames)+len(c.IPAddresses)+len(c.EmailAddresses) > 0 {
		return Subject{}, errors.New("the certificate does not have one URI as its only name")
	}
	text, ours := strings.CutPrefix(c.URIs[0].String(), scheme+":")
	kind, name, whole := strings.Cut(text, ":")
	if !ours || !whole {
		return Subject{}, errors.New("the certificate names no client of Jackfield")
	}
	s := Subject{Kind: Kind(kind), Name: name}
	if err := s.check(); err != nil {
		return Subject{}, err
	}
	if c.Subject.CommonName != name {
		return Subject{}, errors.New("the certificate has two different names")
	}
	return s, nil
}

func formatSerial(n *big.Int) (string, error) {
	if n == nil || n.Sign() <= 0 || n.BitLen() > 128 {
		return "", errors.New("the certificate has no serial number of this authority")
	}
	return fmt.Sprintf("%032x", n), nil
}
