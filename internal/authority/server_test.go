package authority

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func TestServerNames(t *testing.T) {
	a := open(t, newDir(t))
	c := issue(t, a, "Jackfield.Test", "jackfield.test", "192.0.2.7", "2001:DB8::7", "::ffff:192.0.2.7", "127.0.0.1")
	leaf := c.now().Leaf
	for _, name := range []string{"jackfield.test", "localhost", "127.0.0.1", "::1", "192.0.2.7", "2001:db8::7"} {
		if err := leaf.VerifyHostname(name); err != nil {
			t.Error(err)
		}
	}
	if len(leaf.DNSNames) != 2 || len(leaf.IPAddresses) != 4 {
		t.Errorf("it has the names %v %v", leaf.DNSNames, leaf.IPAddresses)
	}
	if leaf.VerifyHostname("other.test") == nil {
		t.Error("it has a name that nobody asked for")
	}
	if _, err := leaf.Verify(x509.VerifyOptions{
		Roots: a.current.Load().alone, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}); err == nil {
		t.Error("a server certificate can be used by a client")
	}
}

func TestServerNamesRefused(t *testing.T) {
	a := open(t, newDir(t))
	for _, name := range []string{
		"", ".", "a..b", "a.", "*.example.org", "a b", "a/b", "localhost:443", "[::1]", "fe80::1%eth0", "192.0.2.300", "192.0.2", "1",
		strings.Repeat("a.", 130) + "b",
	} {
		if _, err := a.ServerCertificate(name); err == nil {
			t.Errorf("a certificate for %q was made", name)
		}
	}
	if _, err := a.ServerCertificate(make([]string, maxNames+1)...); err == nil {
		t.Error("a certificate with too many names was made")
	}
}

func TestServerCertificateIsRenewed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := new(journal)
		a := open(t, newDir(t), func(o *Options) { o.Log = log.log() })
		server := listen(t, a, Listener{})
		client := trusting(t, a.Bundle())
		serial := func() string {
			t.Helper()
			m := meet(server, client)
			m.mustSucceed(t)
			leaf := m.client.PeerCertificates[0]
			if left := time.Until(leaf.NotAfter); left < 30*day-time.Hour {
				t.Errorf("a certificate is shown that ends in %v", left)
			}
			return fmt.Sprint(leaf.SerialNumber)
		}
		first := serial()
		time.Sleep(60*day - time.Minute)
		if serial() != first {
			t.Error("it was renewed before two thirds of its life")
		}
		time.Sleep(2 * time.Minute)
		second := serial()
		if second == first || log.count("was renewed") != 1 {
			t.Errorf("it was not renewed once: %d times", log.count("was renewed"))
		}
		time.Sleep(500 * day) // a machine that slept
		if serial() == second {
			t.Error("it was not renewed")
		}
	})
}

// However time goes by and authorities change, a client that keeps its bundle up to date verifies the server, and so does one
// that has the bundle from before the last rotation until the overlap is over.
func TestServerCertificateAlwaysVerifies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := open(t, newDir(t))
		server := listen(t, a, Listener{})
		earlier := a.Bundle()
		random := rand.New(rand.NewPCG(1, 2))
		for range 30 {
			time.Sleep(time.Duration(random.IntN(40*24)) * time.Hour)
			switch _, overlaps := a.OldUntil(); {
			case random.IntN(2) == 0:
			case overlaps:
				if err := a.RetireOld(); err != nil {
					t.Fatal(err)
				}
			default:
				earlier = a.Bundle()
				mustRotate(t, a)
			}
			bundles := [][]byte{a.Bundle()}
			if _, overlaps := a.OldUntil(); overlaps {
				bundles = append(bundles, earlier)
			}
			for _, bundle := range bundles {
				m := meet(server, trusting(t, bundle))
				m.mustSucceed(t)
			}
		}
	})
}

func TestManyHandshakesAtRenewal(t *testing.T) {
	a := open(t, newDir(t))
	c := issue(t, a)
	mustRotate(t, a)
	shown := make([]*tls.Certificate, 20)
	var wg sync.WaitGroup
	for i := range shown {
		wg.Go(func() { shown[i] = c.now() })
	}
	wg.Wait()
	for _, s := range shown {
		if s != shown[0] {
			t.Fatal("it was renewed more than once")
		}
	}
}

func TestCertificateIsChosenByName(t *testing.T) {
	a := open(t, newDir(t))
	server := listen(t, a, Listener{Certificates: []Certificate{
		issue(t, a, "first.test", "192.0.2.1"), issue(t, a, "second.test"), issue(t, a, "third.test", "first.test"),
	}})
	for asked, want := range map[string]string{
		"first.test": "first.test", "second.test": "second.test", "third.test": "third.test", "SECOND.test": "second.test",
		"unknown.test": "first.test", "192.0.2.1": "first.test", "192.0.2.9": "first.test", "": "first.test", "localhost": "first.test",
	} {
		client := trusting(t, a.Bundle())
		client.ServerName = asked
		client.InsecureSkipVerify = true // it is about what is shown
		m := meet(server, client)
		m.mustSucceed(t)
		if err := m.client.PeerCertificates[0].VerifyHostname(want); err != nil || m.client.PeerCertificates[0].DNSNames[1] != want {
			t.Errorf("%q gets a certificate for %v", asked, m.client.PeerCertificates[0].DNSNames)
		}
	}
}
