package authority

import (
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"jackfield/internal/privatefile"
)

// An issuer is an authority of somebody else.
type issuer struct{ *state }

func newIssuer(t *testing.T) issuer { return issuer{open(t, newDir(t)).current.Load()} }

// leaf makes the certificate and key of a server, changed as wanted.
func (i issuer) leaf(t *testing.T, change func(*x509.Certificate)) (cert, key []byte) {
	t.Helper()
	template := &x509.Certificate{
		DNSNames:    []string{serverName},
		NotBefore:   time.Now().Add(-time.Hour),
		NotAfter:    time.Now().Add(day),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	if change != nil {
		change(template)
	}
	signer := newKey(t)
	c, err := i.sign(template, signer.Public())
	if err != nil {
		t.Fatal(err)
	}
	return certificatePEM(c), keyPEM(t, signer)
}

// nameless names the server as was done long ago.
func nameless(c *x509.Certificate) { c.DNSNames, c.Subject.CommonName = nil, serverName }

// files writes a certificate and a key and returns where.
func files(t *testing.T, cert, key []byte) (certFile, keyFile string) {
	t.Helper()
	dir := t.TempDir()
	certFile, keyFile = filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key")
	write(t, certFile, cert)
	write(t, keyFile, key)
	return certFile, keyFile
}

func TestOwnCertificateRefused(t *testing.T) {
	a, by := open(t, newDir(t)), newIssuer(t)
	root := certificatePEM(by.root)
	cert, key := by.leaf(t, nil)
	otherCert, otherKey := by.leaf(t, nil)
	changed := func(change func(*x509.Certificate)) [2][]byte {
		cert, key := by.leaf(t, change)
		return [2][]byte{cert, key}
	}
	for name, test := range map[string]struct {
		files [2][]byte
		want  string
	}{
		"no certificate":      {[2][]byte{nil, key}, "tls.crt: there is no certificate"},
		"garbage":             {[2][]byte{[]byte("x"), key}, "tls.crt: there is something in it that is not PEM"},
		"cut certificate":     {[2][]byte{cert[:len(cert)/2], key}, "tls.crt: there is something in it that is not PEM"},
		"key in its place":    {[2][]byte{key, key}, `tls.crt: there is a "PRIVATE KEY"`},
		"no key":              {[2][]byte{cert, nil}, "tls.key: it does not hold the private key"},
		"cut key":             {[2][]byte{cert, key[:len(key)/2]}, "tls.key: it does not hold the private key"},
		"certificate as key":  {[2][]byte{cert, cert}, "tls.key: it does not hold the private key"},
		"another's key":       {[2][]byte{cert, otherKey}, "tls.key: it does not hold the private key"},
		"root first":          {[2][]byte{join(root, cert), key}, "the server's certificate comes first"},
		"unrelated":           {[2][]byte{join(cert, otherCert), key}, "the server's certificate comes first"},
		"other root":          {[2][]byte{join(cert, certificatePEM(newIssuer(t).root)), key}, "the server's certificate comes first"},
		"ended":               {changed(func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) }), "ended on"},
		"not begun":           {changed(func(c *x509.Certificate) { c.NotBefore = time.Now().Add(time.Hour) }), "is the clock right?"},
		"for clients":         {changed(func(c *x509.Certificate) { c.ExtKeyUsage[0] = x509.ExtKeyUsageClientAuth }), "serverAuth"},
		"without names":       {changed(nameless), "alternative names"},
		"too long":            {[2][]byte{make([]byte, privatefile.MaxSize+1), key}, "bytes"},
		"too long a key":      {[2][]byte{cert, make([]byte, privatefile.MaxSize+1)}, "bytes"},
		"two keys, wrong one": {[2][]byte{cert, join(otherKey, key)}, "tls.key: it does not hold the private key"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := a.OwnCertificate(files(t, test.files[0], test.files[1]))
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Fatalf("got %v, want %q", err, test.want)
			}
			if leaks(err.Error(), key) || leaks(err.Error(), otherKey) {
				t.Errorf("the error quotes a key: %v", err)
			}
		})
	}
	certFile, _ := files(t, cert, key)
	if _, err := a.OwnCertificate(certFile, certFile+".no"); err == nil || !strings.Contains(err.Error(), "tls.crt.no") {
		t.Errorf("a missing file: got %v", err)
	}
}

func TestOwnCertificateWithChain(t *testing.T) {
	a := open(t, newDir(t))
	by := newIssuer(t)
	old := certificatePEM(by.root)
	next, err := by.rotate(time.Now(), day)
	if err != nil {
		t.Fatal(err)
	}
	cert, key := issuer{next}.leaf(t, nil)
	own, err := a.OwnCertificate(files(t, join(cert, certificatePEM(next.cross), old), key))
	if err != nil {
		t.Fatal(err)
	}
	m := meet(listen(t, a, Listener{Certificates: []Certificate{own}}), trusting(t, old))
	m.mustSucceed(t)
}

func TestOwnCertificateIsReplaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := new(journal)
		a, by := open(t, newDir(t), func(o *Options) { o.Log = log.log() }), newIssuer(t)
		numbered := func(n int) (cert, key []byte) {
			return by.leaf(t, func(c *x509.Certificate) { c.Subject = pkix.Name{CommonName: fmt.Sprint(n)} })
		}
		cert, key := numbered(1)
		certFile, keyFile := files(t, cert, key)
		own, err := a.OwnCertificate(certFile, keyFile)
		if err != nil {
			t.Fatal(err)
		}
		server, client := listen(t, a, Listener{Certificates: []Certificate{own}}), trusting(t, certificatePEM(by.root))
		want := func(name, replaced, kept int) {
			t.Helper()
			for range 3 {
				time.Sleep(lookEvery)
				m := meet(server, client)
				m.mustSucceed(t)
				if got := m.client.PeerCertificates[0].Subject.CommonName; got != fmt.Sprint(name) {
					t.Fatalf("certificate %s is shown, want %d", got, name)
				}
			}
			if r, k := log.count("was replaced"), log.count("the old one stays"); r != replaced || k != kept {
				t.Fatalf("%d replacements and %d failures are in the log, want %d and %d", r, k, replaced, kept)
			}
		}
		want(1, 0, 0)
		newCert, newKey := numbered(2)
		replace(t, certFile, newCert)
		want(1, 0, 1) // half of it
		replace(t, keyFile, newKey)
		want(2, 1, 1)
		replace(t, certFile, []byte("broken"))
		want(2, 1, 2)
		if err := os.Remove(keyFile); err != nil {
			t.Fatal(err)
		}
		want(2, 1, 3)
		write(t, certFile, cert)
		write(t, keyFile, key)
		want(1, 2, 3)
		time.Sleep(2 * day)
		expired := own.now() // there is no better one
		if expired.Leaf.Subject.CommonName != "1" {
			t.Error("another certificate is shown")
		}
		if leaks(log.String(), key) || leaks(log.String(), newKey) {
			t.Error("a key is in the log")
		}
	})
}

// replace does it as programs for certificates do. A file that is written again at once may look the same: the kernel's clock for
// files has ticks.
func replace(t *testing.T, path string, text []byte) {
	t.Helper()
	write(t, path+".new", text)
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
}

func TestLookIsSeldom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, by := open(t, newDir(t)), newIssuer(t)
		cert, key := by.leaf(t, nil)
		certFile, keyFile := files(t, cert, key)
		c, err := a.OwnCertificate(certFile, keyFile)
		if err != nil {
			t.Fatal(err)
		}
		first := c.now()
		cert, key = by.leaf(t, nil)
		replace(t, certFile, cert)
		replace(t, keyFile, key)
		time.Sleep(lookEvery - 1)
		if c.now() != first {
			t.Error("the files were looked at again within a second")
		}
		time.Sleep(time.Nanosecond)
		if c.now() == first {
			t.Error("the files were not looked at after a second")
		}
	})
}

func TestClientConfig(t *testing.T) {
	a := open(t, newDir(t))
	key := newKey(t)
	signed, err := a.Sign(request(t, key), Subject{Agent, "edge-7"}, day)
	if err != nil {
		t.Fatal(err)
	}
	certFile, keyFile := files(t, signed.PEM, keyPEM(t, key))
	client, err := ClientConfig(a.Bundle(), certFile, keyFile, serverName)
	if err != nil {
		t.Fatal(err)
	}
	m := meet(listen(t, a, Listener{Clients: Required}), client)
	m.mustSucceed(t)
	if s, _, err := ParsePeer(m.server.PeerCertificates[0]); err != nil || s.String() != "agent edge-7" {
		t.Errorf("the client is %v, %v", s, err)
	}
	if client.MinVersion != tls.VersionTLS13 {
		t.Error("it speaks old versions")
	}
	for name, test := range map[string]struct {
		bundle             []byte
		cert, key, server  string
		handshake, refused string
	}{
		"no server name":       {a.Bundle(), certFile, keyFile, "", "", "name of the server"},
		"no authority":         {nil, certFile, keyFile, serverName, "", "there is none"},
		"garbage":              {[]byte("x"), certFile, keyFile, serverName, "", "not PEM"},
		"a key in the bundle":  {a.Files()[FileName], certFile, keyFile, serverName, "", `"PRIVATE KEY"`},
		"no authority's":       {signed.PEM, certFile, keyFile, serverName, "", "not one of an authority"},
		"no key":               {a.Bundle(), certFile, "", serverName, "", "or neither"},
		"no certificate":       {a.Bundle(), "", keyFile, serverName, "", "or neither"},
		"missing file":         {a.Bundle(), certFile + ".no", keyFile, serverName, "", "tls.crt.no"},
		"files exchanged":      {a.Bundle(), keyFile, certFile, serverName, "", "tls.key"},
		"another authority":    {open(t, newDir(t)).Bundle(), certFile, keyFile, serverName, "unknown authority", ""},
		"another server":       {a.Bundle(), certFile, keyFile, "other.test", "not other.test", ""},
		"another server by IP": {a.Bundle(), certFile, keyFile, "192.0.2.7", "not 192.0.2.7", ""},
	} {
		client, err := ClientConfig(test.bundle, test.cert, test.key, test.server)
		if test.refused != "" {
			if err == nil || !strings.Contains(err.Error(), test.refused) {
				t.Errorf("%s: got %v, want %q", name, err, test.refused)
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		m := meet(listen(t, a, Listener{}), client)
		if m.clientErr == nil || !strings.Contains(m.clientErr.Error(), test.handshake) {
			t.Errorf("%s: got %v, want %q", name, m.clientErr, test.handshake)
		}
	}
}

func TestSerialsAreRandom(t *testing.T) {
	seen := make(map[string]bool)
	high := new(big.Int)
	for range 100 {
		n := newSerial()
		seen[n.String()] = true
		high.Or(high, n)
	}
	if len(seen) != 100 || high.BitLen() != 128 {
		t.Errorf("%d serial numbers in %d bits", len(seen), high.BitLen())
	}
}
