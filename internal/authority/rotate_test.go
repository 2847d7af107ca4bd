package authority

import (
	"crypto/tls"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestRotate(t *testing.T) {
	dir := newDir(t)
	a := open(t, dir)
	server := listen(t, a, Listener{Clients: Required})
	oldBundle, oldFingerprint := a.Bundle(), a.Fingerprint()
	before, _ := enrol(t, a, Subject{Device, "meter-7"}, day) // trusts the old one only

	mustRotate(t, a)
	if a.Fingerprint() == oldFingerprint {
		t.Error("it has the old fingerprint")
	}
	if until, there := a.OldUntil(); !there || time.Until(until) < 29*day || time.Until(until) > 30*day {
		t.Errorf("the old one is accepted until %v, %v", until, there)
	}
	if n := strings.Count(string(a.Bundle()), "BEGIN"); n != 2 {
		t.Errorf("%d certificates are in the bundle", n)
	}
	after, _ := enrol(t, a, Subject{Device, "meter-8"}, day)
	onlyNew := trusting(t, certificatePEM(a.current.Load().root))
	onlyNew.GetClientCertificate = after.GetClientCertificate
	oldTrust := trusting(t, oldBundle)
	oldTrust.GetClientCertificate = after.GetClientCertificate
	for name, client := range map[string]*tls.Config{
		"old certificate, trusts old": before, "new, trusts both": after, "new, trusts new": onlyNew, "new, trusts old": oldTrust,
	} {
		m := meet(server, client)
		if m.clientErr != nil || m.serverErr != nil {
			t.Errorf("%s: %v; %v", name, m.clientErr, m.serverErr)
		}
	}
	if m := meet(server, after); len(m.client.PeerCertificates) != 2 {
		t.Errorf("the server shows %d certificates", len(m.client.PeerCertificates))
	}

	a = open(t, dir) // as after a restart
	server = listen(t, a, Listener{Clients: Required})
	m := meet(server, before)
	m.mustSucceed(t)

	if err := a.Rotate(); err == nil || !strings.Contains(err.Error(), "retire it first") {
		t.Errorf("a second rotation: got %v", err)
	}
	for range 2 {
		if err := a.RetireOld(); err != nil {
			t.Fatal(err)
		}
		m = meet(server, after)
		m.mustSucceed(t)
		if len(m.client.PeerCertificates) != 1 {
			t.Error("the server still shows what the old authority signed")
		}
		before.RootCAs = after.RootCAs
		m = meet(server, before)
		m.mustFail(t, "unknown authority")
		a = open(t, dir)
		server = listen(t, a, Listener{Clients: Required})
	}
	if _, there := a.OldUntil(); there {
		t.Error("there is an old authority")
	}
	mustRotate(t, a)
	m = meet(server, after)
	m.mustSucceed(t)
}

func TestOverlapEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := newDir(t)
		a := open(t, dir, func(o *Options) { o.Overlap = 10 * day })
		server := listen(t, a, Listener{Clients: Required})
		old, _ := enrol(t, a, Subject{Agent, "edge-7"}, 100*day)
		mustRotate(t, a)
		fresh, _ := enrol(t, a, Subject{Agent, "edge-8"}, 100*day)
		old.RootCAs = fresh.RootCAs

		time.Sleep(10*day - time.Second)
		m := meet(server, old)
		m.mustSucceed(t)
		time.Sleep(2 * time.Second)
		m = meet(server, old)
		m.mustFail(t, "unknown authority")
		m = meet(server, fresh)
		m.mustSucceed(t)
		if len(m.client.PeerCertificates) != 1 {
			t.Error("the server still shows what the old authority signed")
		}
		if strings.Count(string(a.Bundle()), "BEGIN") != 1 {
			t.Error("the old authority is in the bundle")
		}
		if s := open(t, dir).current.Load(); s.old != nil || s.cross != nil {
			t.Error("the next start still has the old authority")
		}
		mustRotate(t, a)
	})
}

// An authority that ends before the overlap does, or has ended already, is not accepted beyond its end.
func TestRotateLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for name, wait := range map[string]time.Duration{"ends soon": 3650 * day, "has ended": 3660 * day} {
			dir := newDir(t)
			a := open(t, dir)
			end := a.current.Load().root.NotAfter
			time.Sleep(wait)
			mustRotate(t, a)
			until, there := a.OldUntil()
			if there != time.Now().Before(end) || there && !until.Equal(end) {
				t.Errorf("%s: the old one is accepted until %v, %v; it ends %v", name, until, there, end)
			}
			open(t, dir)
		}
	})
}
