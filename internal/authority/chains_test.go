package authority

import (
	"crypto/x509"
	"encoding/pem"
	"testing"
	"time"
)

// What is remembered is good for its time and its authorities, and no longer.
func TestChains(t *testing.T) {
	a := open(t, newDir(t))
	signed, err := a.Sign(request(t, newKey(t)), Subject{Agent, "edge-7"}, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(signed.PEM)
	certificate, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	trusted := a.current.Load().trusted(now)
	var c chains
	for range 2 {
		if err := c.verify(certificate, trusted, now); err != nil {
			t.Error(err)
		}
	}
	if len(c.known) != 1 {
		t.Errorf("%d are remembered", len(c.known))
	}
	for name, at := range map[string]time.Time{"later": now.Add(2 * time.Hour), "earlier": now.Add(-48 * time.Hour)} {
		if err := c.verify(certificate, trusted, at); err == nil {
			t.Errorf("%s it is still good", name)
		}
	}
	other := open(t, newDir(t)).current.Load().trusted(now)
	if err := c.verify(certificate, other, now); err == nil {
		t.Error("it is good for another authority, too")
	}
	for i := range maxChains {
		c.remember(chain{trusted, [32]byte{byte(i), byte(i >> 8), 1}}, span{now, now})
	}
	if len(c.known) > maxChains {
		t.Errorf("%d are remembered", len(c.known))
	}
}
