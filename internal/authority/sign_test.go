package authority

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"net"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

var ada = Subject{User, "ada"}

func TestSign(t *testing.T) {
	a := open(t, newDir(t))
	for name, key := range map[string]crypto.Signer{
		"P-256": newKey(t), "P-384": onCurve(t, elliptic.P384()), "Ed25519": newEd25519(t), "RSA 2048": newRSA(t, 2048),
	} {
		t.Run(name, func(t *testing.T) {
			der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{
				Subject: pkix.Name{CommonName: "root", Organization: []string{"admins"}}, DNSNames: []string{serverName},
			}, key)
			if err != nil {
				t.Fatal(err)
			}
			signed, err := a.Sign(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der}), ada, time.Hour)
			if err != nil {
				t.Fatal(err)
			}
			c := decode(t, signed.PEM)
			if got := c.Subject.String(); got != "CN=ada" {
				t.Errorf("it is for %q", got)
			}
			if len(c.URIs) != 1 || c.URIs[0].String() != "jackfield:user:ada" || c.DNSNames != nil {
				t.Errorf("it has the names %v %v", c.URIs, c.DNSNames)
			}
			forClients := []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
			if c.IsCA || !slices.Equal(c.ExtKeyUsage, forClients) || c.KeyUsage != x509.KeyUsageDigitalSignature {
				t.Errorf("it can be used for %v %v", c.ExtKeyUsage, c.KeyUsage)
			}
			if !key.Public().(interface{ Equal(crypto.PublicKey) bool }).Equal(c.PublicKey) {
				t.Error("it is for another key")
			}
			if left := time.Until(signed.NotAfter); left > time.Hour || left < 59*time.Minute || !signed.NotAfter.Equal(c.NotAfter) {
				t.Errorf("it ends in %v", left)
			}
			s, serial, err := ParsePeer(c)
			if err != nil || s != ada || serial != signed.Serial || len(serial) != 32 {
				t.Errorf("it is read as %v %q %v", s, serial, err)
			}
		})
	}
}

func TestSignEndsWithTheAuthority(t *testing.T) {
	a := open(t, newDir(t))
	_, signed := enrol(t, a, ada, 20*365*day)
	if end := decode(t, a.Bundle()).NotAfter; !signed.NotAfter.Equal(end) {
		t.Errorf("it ends %v, the authority %v", signed.NotAfter, end)
	}
}

func TestSignRefusesRequests(t *testing.T) {
	a := open(t, newDir(t))
	good := request(t, newKey(t))
	der, _ := pem.Decode(good)
	forged := bytes.Clone(der.Bytes)
	forged[len(forged)-1] ^= 1
	encode := func(kind string, der []byte) []byte { return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}) }
	for name, test := range map[string]struct {
		request []byte
		want    string
	}{
		"empty":           {nil, "is expected"},
		"DER":             {der.Bytes, "is expected"},
		"certificate":     {a.Bundle(), "is expected"},
		"two":             {join(good, good), "is expected"},
		"garbage after":   {join(good, []byte("x")), "is expected"},
		"cut":             {encode("CERTIFICATE REQUEST", der.Bytes[:len(der.Bytes)/2]), "certificate request"},
		"forged":          {encode("CERTIFICATE REQUEST", forged), "not signed with its own key"},
		"too long":        {join(good, bytes.Repeat([]byte("\n"), MaxRequest)), "are allowed"},
		"RSA 1024":        {request(t, newRSA(t, 1024)), "not accepted"},
		"P-224":           {request(t, onCurve(t, elliptic.P224())), "not accepted"},
		"P-521":           {request(t, onCurve(t, elliptic.P521())), "not accepted"},
		"another's key":   {encode("CERTIFICATE REQUEST", otherKey(t, der.Bytes)), "not signed with its own key"},
		"of another kind": {encode("PRIVATE KEY", der.Bytes), "is expected"},
	} {
		if _, err := a.Sign(test.request, ada, time.Hour); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: got %v, want %q", name, err, test.want)
		}
	}
	if _, err := a.Sign(good, ada, 0); err == nil {
		t.Error("a certificate without a life was made")
	}
}

// otherKey puts the key of somebody else into a request.
func otherKey(t *testing.T, der []byte) []byte {
	other, _ := pem.Decode(request(t, newKey(t)))
	mine, err := x509.ParseCertificateRequest(der)
	if err != nil {
		t.Fatal(err)
	}
	theirs, err := x509.ParseCertificateRequest(other.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return bytes.Replace(der, mine.RawSubjectPublicKeyInfo, theirs.RawSubjectPublicKeyInfo, 1)
}

func newEd25519(t *testing.T) crypto.Signer {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func onCurve(t *testing.T, curve elliptic.Curve) crypto.Signer {
	key, err := ecdsa.GenerateKey(curve, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func newRSA(t *testing.T, bits int) crypto.Signer {
	t.Setenv("GODEBUG", "rsa1024min=0") // else no weak key can be made
	key, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func TestNames(t *testing.T) {
	long := strings.Repeat("a", 64)
	for name, good := range map[Subject]bool{
		{User, "ada"}: true, {User, "ada.l-1_x"}: true, {User, "7"}: true, {User, long}: true,
		{Device, "meter-7"}: true, {Agent, "lab-pi"}: true, {Node, "n1"}: true, {Node, long[:63]}: true,

		{User, ""}: false, {User, "Ada"}: false, {User, "ada:admin"}: false, {User, "ada b"}: false, {User, "adä"}: false,
		{User, ".."}: false, {User, "-a"}: false, {User, "a/b"}: false, {User, "a%61"}: false, {User, "a\x00b"}: false,
		{User, long + "a"}: false, {User, "ada@example.org"}: true,
		{Device, "a.b"}: false, {Device, "a_b"}: false, {Device, "Meter"}: false, {Device, "a-"}: false, {Device, long}: false,
		{"", "ada"}: false, {"admin", "ada"}: false, {"User", "ada"}: false,
	} {
		if err := name.check(); (err == nil) != good {
			t.Errorf("%q %q: %v", name.Kind, name.Name, err)
		}
	}
}

// Whoever is named in a certificate is read from it again, and nobody else.
func TestSubjectsAreReadAgain(t *testing.T) {
	a := open(t, newDir(t))
	csr := request(t, newKey(t))
	rapid.Check(t, func(t *rapid.T) {
		s := Subject{
			Kind: Kind(rapid.SampledFrom([]string{"user", "device", "agent", "node", "", "admin"}).Draw(t, "kind")),
			Name: rapid.OneOf(rapid.StringMatching(`[a-z0-9._-]{1,66}`), rapid.String()).Draw(t, "name"),
		}
		signed, err := a.Sign(csr, s, time.Hour)
		if (err == nil) != (s.check() == nil) {
			t.Fatalf("%v: %v", s, err)
		}
		if err != nil {
			return
		}
		certificates, err := parseCertificates(signed.PEM)
		if err != nil {
			t.Fatal(err)
		}
		got, serial, err := ParsePeer(certificates[0])
		if err != nil || got != s || serial != signed.Serial {
			t.Fatalf("%v is read as %v %s %v", s, got, serial, err)
		}
	})
}

func TestParsePeerRefuses(t *testing.T) {
	a := open(t, newDir(t))
	parse := func(s string) *url.URL {
		u, err := url.Parse(s)
		if err != nil {
			t.Fatal(err)
		}
		return u
	}
	for name, change := range map[string]func(*x509.Certificate){
		"no name":           func(c *x509.Certificate) { c.URIs = nil },
		"two names":         func(c *x509.Certificate) { c.URIs = append(c.URIs, parse("jackfield:user:bob")) },
		"DNS name":          func(c *x509.Certificate) { c.DNSNames = []string{"ada"} },
		"address":           func(c *x509.Certificate) { c.IPAddresses = []net.IP{{127, 0, 0, 1}} },
		"mail address":      func(c *x509.Certificate) { c.EmailAddresses = []string{"ada@example.org"} },
		"other scheme":      func(c *x509.Certificate) { c.URIs[0] = parse("urn:user:ada") },
		"with a host":       func(c *x509.Certificate) { c.URIs[0] = parse("jackfield://user/ada") },
		"path":              func(c *x509.Certificate) { c.URIs[0] = parse("jackfield:user:ada/b") },
		"query":             func(c *x509.Certificate) { c.URIs[0] = parse("jackfield:user:ada?x") },
		"fragment":          func(c *x509.Certificate) { c.URIs[0] = parse("jackfield:user:ada#x") },
		"escaped":           func(c *x509.Certificate) { c.URIs[0] = parse("jackfield:user:%61da") },
		"no kind":           func(c *x509.Certificate) { c.URIs[0] = parse("jackfield:ada") },
		"other kind":        func(c *x509.Certificate) { c.URIs[0] = parse("jackfield:admin:ada") },
		"upper case":        func(c *x509.Certificate) { c.URIs[0] = parse("jackfield:user:Ada") },
		"other common name": func(c *x509.Certificate) { c.Subject.CommonName = "bob" },
		"for servers too":   func(c *x509.Certificate) { c.ExtKeyUsage = append(c.ExtKeyUsage, x509.ExtKeyUsageServerAuth) },
		"for anything":      func(c *x509.Certificate) { c.ExtKeyUsage = nil },
		"authority":         func(c *x509.Certificate) { c.IsCA = true },
	} {
		template := &x509.Certificate{
			Subject:     pkix.Name{CommonName: "ada"},
			URIs:        []*url.URL{ada.uri()},
			NotAfter:    time.Now().Add(time.Hour),
			ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
		}
		change(template)
		c, err := a.current.Load().sign(template, newKey(t).Public())
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if s, _, err := ParsePeer(c); err == nil {
			t.Errorf("%s: it is read as %v", name, s)
		}
	}
	if _, _, err := ParsePeer(nil); err == nil {
		t.Error("no certificate is read as one")
	}
	if _, _, err := ParsePeer(&x509.Certificate{}); err == nil {
		t.Error("an empty certificate is read as one")
	}
}

func FuzzParseRequest(f *testing.F) {
	good := request(f, newKey(f))
	f.Add(good)
	f.Add(good[:len(good)/2])
	f.Add([]byte("-----BEGIN CERTIFICATE REQUEST-----\nMAA=\n-----END CERTIFICATE REQUEST-----\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		public, err := parseRequest(text)
		if err == nil && checkKey(public) != nil {
			t.Errorf("a weak key was accepted: %v", checkKey(public))
		}
	})
}

func FuzzParsePeer(f *testing.F) {
	a := open(f, newDir(f))
	_, signed := enrol(f, a, ada, time.Hour)
	f.Add(decode(f, signed.PEM).Raw)
	f.Add(decode(f, a.Bundle()).Raw)
	f.Add(issue(f, a).now().Leaf.Raw)
	f.Fuzz(func(t *testing.T, der []byte) {
		c, err := x509.ParseCertificate(der)
		if err != nil {
			return
		}
		s, serial, err := ParsePeer(c)
		if err != nil {
			return
		}
		if s.check() != nil || len(serial) != 32 || c.Subject.CommonName != s.Name || c.URIs[0].String() != s.uri().String() {
			t.Errorf("%v, %q", s, serial)
		}
	})
}
