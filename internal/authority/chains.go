package authority

import (
	"crypto/sha256"
	"crypto/x509"
	"sync"
	"time"
)

// maxChains is how many certificates are remembered to have been verified.
const maxChains = 4096

// chains remember which certificates come from which authorities: who resumes sessions often need not be verified each time. The zero
// value is ready.
type chains struct {
	mu    sync.Mutex
	known map[chain]span // guarded by mu
}

type chain struct {
	trusted     *x509.CertPool // of a state, which makes another one when the authorities change
	certificate [sha256.Size]byte
}

// A span is the time in which all certificates of a chain are good.
type span struct{ from, until time.Time }

func (c *chains) verify(certificate *x509.Certificate, trusted *x509.CertPool, now time.Time) error {
	key := chain{trusted, sha256.Sum256(certificate.Raw)}
	c.mu.Lock()
	good, known := c.known[key]
	c.mu.Unlock()
	if known && now.After(good.from) && now.Before(good.until) {
		return nil
	}
	verified, err := certificate.Verify(x509.VerifyOptions{
		Roots: trusted, CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	})
	if err != nil {
		return err
	}
	c.remember(key, spanOf(verified[0]))
	return nil
}

func spanOf(certificates []*x509.Certificate) span {
	all := span{certificates[0].NotBefore, certificates[0].NotAfter}
	for _, c := range certificates[1:] {
		if c.NotBefore.After(all.from) {
			all.from = c.NotBefore
		}
		if c.NotAfter.Before(all.until) {
			all.until = c.NotAfter
		}
	}
	return all
}

func (c *chains) remember(key chain, good span) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.known == nil || len(c.known) >= maxChains {
		c.known = make(map[chain]span)
	}
	c.known[key] = good
}
