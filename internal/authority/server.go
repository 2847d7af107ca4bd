package authority

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"jackfield"
)

const (
	serverLifetime = 90 * 24 * time.Hour
	serverRenewal  = serverLifetime / 3 * 2 // after this time
	maxNames       = 100                    // of one certificate
)

// A Certificate is what a server shows its clients: the authority's ServerCertificate, or an OwnCertificate. It always has one.
type Certificate interface {
	now() *tls.Certificate
}

// ServerCertificate returns a certificate of the authority for a server of these names, DNS names and addresses, and of
// localhost, 127.0.0.1 and ::1 besides. It renews itself.
func (a *Authority) ServerCertificate(names ...string) (Certificate, error) {
	i := &issued{authority: a, dns: []string{"localhost"}, addresses: []net.IP{{127, 0, 0, 1}, net.IPv6loopback}}
	if len(names) > maxNames {
		return nil, fmt.Errorf("a server certificate can have %d names, not %d", maxNames, len(names))
	}
	for _, name := range names {
		if err := i.add(strings.ToLower(name)); err != nil {
			return nil, err
		}
	}
	if _, err := i.renew(time.Now()); err != nil {
		return nil, fmt.Errorf("server certificate: %w", err)
	}
	return i, nil
}

// issued is a certificate of the authority, with a key that is never written anywhere.
type issued struct {
	authority *Authority
	dns       []string
	addresses []net.IP

	mu      sync.Mutex
	by      *state // who signed what follows
	shown   *tls.Certificate
	renewal time.Time
}

// add takes a name. An address is none that somebody could have meant as a DNS name, and the reverse.
func (i *issued) add(name string) error {
	if address, err := netip.ParseAddr(name); err == nil && address.Zone() == "" {
		ip := net.IP(address.Unmap().AsSlice())
		if !slices.ContainsFunc(i.addresses, ip.Equal) {
			i.addresses = append(i.addresses, ip)
		}
		return nil
	}
	if len(name) > 253 { // RFC 1035, section 2.3.4, as text
		return fmt.Errorf("a server certificate cannot be for a name of %d bytes", len(name))
	}
	labels := strings.Split(name, ".")
	for _, label := range labels {
		if err := jackfield.CheckLabel(label); err != nil {
			return fmt.Errorf("a server certificate cannot be for %q, which is neither a DNS name nor an address: %w", name, err)
		}
	}
	if last := labels[len(labels)-1]; '0' <= last[0] && last[0] <= '9' {
		return fmt.Errorf("a server certificate cannot be for %q: it is no address, and no DNS name ends with a number", name)
	}
	if !slices.Contains(i.dns, name) {
		i.dns = append(i.dns, name)
	}
	return nil
}

func (i *issued) now() *tls.Certificate {
	i.mu.Lock()
	defer i.mu.Unlock()
	now := time.Now()
	if i.by == i.authority.current.Load() && now.Before(i.renewal) && !now.Before(i.shown.Leaf.NotBefore) {
		return i.shown
	}
	if notAfter, err := i.renew(now); err != nil {
		i.authority.log.Error("a server certificate could not be renewed", "names", i.dns, "error", err)
	} else {
		i.authority.log.Info("a server certificate was renewed", "names", i.dns, "not_after", notAfter)
	}
	return i.shown
}

func (i *issued) renew(now time.Time) (notAfter time.Time, err error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return time.Time{}, err
	}
	by := i.authority.current.Load()
	leaf, err := by.sign(&x509.Certificate{
		Subject:     pkix.Name{CommonName: "Jackfield server"},
		DNSNames:    i.dns,
		IPAddresses: i.addresses,
		NotBefore:   now.Add(-backdating),
		NotAfter:    now.Add(serverLifetime),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}, key.Public())
	if err != nil {
		return time.Time{}, err
	}
	chain := [][]byte{leaf.Raw}
	renewal := now.Add(serverRenewal)
	if by.overlaps(now) {
		chain = append(chain, by.cross.Raw)
		renewal = earlier(renewal, by.cross.NotAfter) // from then on without it
	}
	i.by, i.renewal = by, renewal
	i.shown = &tls.Certificate{Certificate: chain, PrivateKey: key, Leaf: leaf}
	return leaf.NotAfter, nil
}
