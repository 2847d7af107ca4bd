package authority

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"slices"
	"sync"
	"time"
)

const lookEvery = time.Second // at the operator's files

// OwnCertificate returns the operator's own certificate: a file in PEM with the server's certificate first and then each one's
// issuer, and one with its private key. The files are read again when they change, which a handshake finds out within a
// second; if what they hold then cannot be used, that is logged once, and the certificate from before stays.
func (a *Authority) OwnCertificate(certFile, keyFile string) (Certificate, error) {
	o := &own{certFile: certFile, keyFile: keyFile, log: a.log, looked: time.Now()}
	var err error
	if o.seen, err = o.stat(); err != nil {
		return nil, err
	}
	if o.shown, err = o.load(); err != nil {
		return nil, err
	}
	return o, nil
}

// CheckOwnCertificate says what would keep OwnCertificate from using the files.
func CheckOwnCertificate(certFile, keyFile string) error {
	_, err := loadPair(certFile, keyFile)
	return err
}

type own struct {
	certFile, keyFile string
	log               *slog.Logger

	mu        sync.Mutex
	shown     *tls.Certificate
	seen      [2]fs.FileInfo // the files of it
	looked    time.Time
	complaint string // about what the files hold now; empty: it is shown
}

func (o *own) now() *tls.Certificate {
	o.mu.Lock()
	defer o.mu.Unlock()
	if now := time.Now(); now.Sub(o.looked) >= lookEvery {
		o.looked = now
		o.look()
	}
	return o.shown
}

// look loads what has changed. What could not be used is read again each time: a file may be written in several steps.
func (o *own) look() {
	seen, err := o.stat()
	if err == nil && o.complaint == "" && same(seen[0], o.seen[0]) && same(seen[1], o.seen[1]) {
		return
	}
	var shown *tls.Certificate
	if err == nil {
		shown, err = o.load()
	}
	if err != nil {
		o.complain(err.Error())
		return
	}
	o.shown, o.seen, o.complaint = shown, seen, ""
	o.log.Info("the server certificate was replaced", "file", o.certFile, "not_after", shown.Leaf.NotAfter)
}

func (o *own) complain(about string) {
	if about != o.complaint {
		o.log.Warn("the new server certificate cannot be used; the old one stays", "error", about)
	}
	o.complaint = about
}

func (o *own) stat() (seen [2]fs.FileInfo, err error) {
	for i, path := range []string{o.certFile, o.keyFile} {
		if seen[i], err = os.Stat(path); err != nil {
			return seen, fmt.Errorf("server certificate: %w", err)
		}
	}
	return seen, nil
}

func same(a, b fs.FileInfo) bool {
	return os.SameFile(a, b) && a.Size() == b.Size() && a.ModTime().Equal(b.ModTime())
}

func (o *own) load() (*tls.Certificate, error) {
	pair, err := loadPair(o.certFile, o.keyFile)
	if err != nil {
		return nil, err
	}
	leaf := pair.Leaf
	forServers := func(u x509.ExtKeyUsage) bool { return u == x509.ExtKeyUsageServerAuth || u == x509.ExtKeyUsageAny }
	switch {
	case len(leaf.ExtKeyUsage) > 0 && !slices.ContainsFunc(leaf.ExtKeyUsage, forServers):
		return nil, fmt.Errorf("%s: the certificate is not one for servers: take one with the extended key usage serverAuth",
			o.certFile)
	case len(leaf.DNSNames)+len(leaf.IPAddresses) == 0:
		return nil, fmt.Errorf("%s: the certificate has neither a DNS name nor an address: clients look only at its subject"+
			" alternative names", o.certFile)
	}
	return pair, nil
}

// loadPair reads a chain and the key of its first certificate, and finds out whether they can be used now.
func loadPair(certFile, keyFile string) (*tls.Certificate, error) {
	certText, err := readFile(certFile)
	if err != nil {
		return nil, err
	}
	keyText, err := readFile(keyFile)
	if err != nil {
		return nil, err
	}
	chain, err := parseCertificates(certText)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", certFile, err)
	}
	if err := checkChain(chain, time.Now()); err != nil {
		return nil, fmt.Errorf("%s: %w", certFile, err)
	}
	pair, err := tls.X509KeyPair(certText, keyText)
	if err != nil { // the certificate is good: it is about the key
		return nil, fmt.Errorf("%s: it does not hold the private key, in PEM and without a password, of the first certificate in %s",
			keyFile, certFile)
	}
	return &pair, nil
}

func checkChain(chain []*x509.Certificate, now time.Time) error {
	if len(chain) == 0 {
		return errors.New("there is no certificate in it")
	}
	for i, c := range chain {
		switch {
		case now.After(c.NotAfter):
			return fmt.Errorf("certificate %d (%s) ended on %s: take a newer one", i+1, c.Subject, c.NotAfter.Format(time.DateOnly))
		case now.Before(c.NotBefore):
			return fmt.Errorf("certificate %d (%s) begins on %s: is the clock right?", i+1, c.Subject, c.NotBefore.Format(time.DateOnly))
		case i > 0 && chain[i-1].CheckSignatureFrom(c) != nil:
			return fmt.Errorf("certificate %d (%s) is not by certificate %d (%s): the server's certificate comes first, and then each"+
				" one's issuer", i, chain[i-1].Subject, i+1, c.Subject)
		}
	}
	return nil
}
