package authority

import (
	"crypto/tls"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

var native = []string{"h2", "http/1.1", "jackfield-agent/1", "jackfield-data/1"}

func TestClientCertificates(t *testing.T) {
	a := open(t, newDir(t))
	with, _ := enrol(t, a, ada, time.Hour)
	stranger, _ := enrol(t, open(t, newDir(t)), ada, time.Hour)
	stranger.RootCAs = with.RootCAs
	clients := map[string]*tls.Config{"none": trusting(t, a.Bundle()), "good": with, "foreign": stranger}
	const none, good, foreign = "none", "good", "foreign"
	for _, test := range []struct {
		listener ClientCertificates
		offered  []string
		client   string
		protocol string // that is negotiated
		want     string // "": no certificate is seen, "ada", or what the refusal says
	}{
		{Off, []string{"h2", "http/1.1"}, none, "h2", ""},
		{Off, []string{"h2", "http/1.1"}, good, "h2", ""},
		{Off, []string{"h2", "http/1.1"}, foreign, "h2", ""},
		{Off, nil, good, "", ""},
		{"", []string{"http/1.1"}, good, "http/1.1", ""},
		{Optional, []string{"http/1.1"}, none, "http/1.1", ""},
		{Optional, []string{"http/1.1"}, good, "http/1.1", "ada"},
		{Optional, []string{"http/1.1"}, foreign, "", "unknown authority"},
		{Optional, nil, none, "", ""},
		{Optional, nil, good, "", "ada"},
		{Required, []string{"h2"}, none, "", "didn't provide"},
		{Required, []string{"h2"}, good, "h2", "ada"},
		{Required, nil, none, "", "didn't provide"},
		{Required, nil, foreign, "", "unknown authority"},
		{Off, []string{"jackfield-agent/1"}, none, "", "didn't provide"},
		{Off, []string{"jackfield-agent/1"}, good, "jackfield-agent/1", "ada"},
		{Off, []string{"jackfield-agent/1"}, foreign, "", "unknown authority"},
		{Optional, []string{"jackfield-data/1"}, none, "", "didn't provide"},
		{Optional, []string{"jackfield-data/1"}, good, "jackfield-data/1", "ada"},
		{Off, []string{"jackfield-agent/1", "h2"}, none, "h2", ""}, // ours comes first in our order: it is not a way around
		{Off, []string{"unknown", "jackfield-data/1", "jackfield-agent/1"}, none, "", "didn't provide"},
		{Off, []string{"jackfield-agent/2"}, good, "", "unsupported application protocols"},
		{Off, []string{"spdy/3"}, none, "", "unsupported application protocols"},
	} {
		for _, old := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s %v %s %v", test.listener, test.offered, test.client, old), func(t *testing.T) {
				server := listen(t, a, Listener{Clients: test.listener, Protocols: native, TLS12: old})
				client := clients[test.client].Clone()
				client.NextProtos = test.offered
				if old {
					client.MinVersion, client.MaxVersion = tls.VersionTLS12, tls.VersionTLS12
				}
				m := meet(server, client)
				if test.want != "" && test.want != "ada" {
					m.mustFail(t, test.want)
					return
				}
				m.mustSucceed(t)
				if m.server.NegotiatedProtocol != test.protocol || m.client.NegotiatedProtocol != test.protocol {
					t.Errorf("they speak %q", m.server.NegotiatedProtocol)
				}
				if got := who(t, m.server); got != test.want {
					t.Errorf("the server sees %q", got)
				}
			})
		}
	}
}

// who is the name in the client's certificate; empty: there is none.
func who(t *testing.T, c tls.ConnectionState) string {
	t.Helper()
	if len(c.PeerCertificates) == 0 {
		return ""
	}
	s, _, err := ParsePeer(c.PeerCertificates[0])
	if err != nil {
		t.Fatal(err)
	}
	return s.Name
}

// A listener without ALPN applies its setting to everybody.
func TestWithoutProtocols(t *testing.T) {
	a := open(t, newDir(t))
	server := listen(t, a, Listener{Clients: Required})
	client := trusting(t, a.Bundle())
	client.NextProtos = native
	m := meet(server, client)
	m.mustFail(t, "didn't provide")
}

func TestVersions(t *testing.T) {
	a := open(t, newDir(t))
	for _, test := range []struct {
		tls12 bool
		speak uint16
		good  bool
	}{
		{false, tls.VersionTLS13, true}, {false, tls.VersionTLS12, false},
		{true, tls.VersionTLS13, true}, {true, tls.VersionTLS12, true}, {true, tls.VersionTLS11, false},
	} {
		client := trusting(t, a.Bundle())
		client.MinVersion, client.MaxVersion = tls.VersionTLS10, test.speak
		m := meet(listen(t, a, Listener{TLS12: test.tls12}), client)
		if good := m.clientErr == nil && m.serverErr == nil; good != test.good || good && m.server.Version != test.speak {
			t.Errorf("TLS 1.2 allowed: %v, client speaks %s: %v", test.tls12, tls.VersionName(test.speak), m.serverErr)
		}
	}
}

func TestTLSConfigRefuses(t *testing.T) {
	a := open(t, newDir(t))
	if _, err := a.TLSConfig(Listener{}); err == nil {
		t.Error("a listener without a certificate was configured")
	}
	if _, err := a.TLSConfig(Listener{Certificates: []Certificate{issue(t, a)}, Clients: "maybe"}); err == nil {
		t.Error("client certificates can be asked for maybe")
	}
}

// A session that is resumed shows no certificate: what it was begun with is looked at again.
func TestResumedSessions(t *testing.T) {
	for _, version := range []uint16{tls.VersionTLS13, tls.VersionTLS12} {
		for name, test := range map[string]struct {
			change func(t *testing.T, a *Authority, revoke func(string))
			want   string // what the refusal says; empty: it is resumed
		}{
			"nothing":              {func(*testing.T, *Authority, func(string)) {}, ""},
			"certificate revoked":  {func(_ *testing.T, _ *Authority, revoke func(string)) { revoke("serial") }, "is revoked"},
			"subject revoked":      {func(_ *testing.T, _ *Authority, revoke func(string)) { revoke("device meter-7") }, "is revoked"},
			"another one revoked":  {func(_ *testing.T, _ *Authority, revoke func(string)) { revoke("user meter-7") }, ""},
			"rotated":              {func(t *testing.T, a *Authority, _ func(string)) { mustRotate(t, a) }, ""},
			"old one retired":      {retire, "unknown authority"},
			"another one restored": {restoreAnother, "unknown authority"},
		} {
			t.Run(tls.VersionName(version)+" "+name, func(t *testing.T) {
				var revoked atomic.Value
				revoked.Store("")
				a := open(t, newDir(t), func(o *Options) {
					o.Revoked = func(s Subject, serial string) bool {
						return revoked.Load() == serial || revoked.Load() == s.String()
					}
				})
				client, signed := enrol(t, a, Subject{Device, "meter-7"}, time.Hour)
				client.ClientSessionCache = tls.NewLRUClientSessionCache(1)
				client.MinVersion, client.MaxVersion = version, version
				server := listen(t, a, Listener{Clients: Required, TLS12: true})
				m := meet(server, client)
				m.mustSucceed(t)
				m = meet(server, client)
				m.mustSucceed(t)
				if !m.server.DidResume {
					t.Fatal("the session was not resumed")
				}
				test.change(t, a, func(what string) { revoked.Store(strings.Replace(what, "serial", signed.Serial, 1)) })
				client.InsecureSkipVerify = true // it is about the client; a real one would not go on either
				m = meet(server, client)
				if test.want == "" {
					m.mustSucceed(t)
					if !m.server.DidResume {
						t.Error("the session was not resumed")
					}
					return
				}
				m.mustFail(t, test.want)
			})
		}
	}
}

func retire(t *testing.T, a *Authority, _ func(string)) {
	mustRotate(t, a)
	if err := a.RetireOld(); err != nil {
		t.Fatal(err)
	}
}

func restoreAnother(t *testing.T, a *Authority, _ func(string)) {
	if err := a.Restore(open(t, newDir(t)).Files()); err != nil {
		t.Fatal(err)
	}
}

// verify does not rely on what tls does with sessions that are resumed.
func TestVerifyItself(t *testing.T) {
	a := open(t, newDir(t))
	_, signed := enrol(t, a, ada, time.Hour)
	c := tls.ConnectionState{DidResume: true}
	c.PeerCertificates, _ = parseCertificates(signed.PEM)
	if err := a.verify(c); err != nil {
		t.Error(err)
	}
	retire(t, a, nil)
	if err := a.verify(c); err == nil {
		t.Error("a certificate of a retired authority is accepted")
	}
	if err := a.verify(tls.ConnectionState{NegotiatedProtocol: "jackfield-node/1"}); err == nil {
		t.Error("a native protocol is spoken without a certificate")
	}
}

// A session of a listener that asks for no certificate opens no other door.
func TestTicketsOfAnotherListener(t *testing.T) {
	a := open(t, newDir(t))
	client, _ := enrol(t, a, ada, time.Hour)
	client.ClientSessionCache = tls.NewLRUClientSessionCache(1)
	first, second := listen(t, a, Listener{Clients: Required}), listen(t, a, Listener{Clients: Required})
	for _, test := range []struct {
		server *tls.Config
		resume bool
	}{{first, false}, {first, true}, {second, false}} {
		m := meet(test.server, client)
		m.mustSucceed(t)
		if m.server.DidResume != test.resume {
			t.Errorf("resumed: %v", m.server.DidResume)
		}
	}
}

// A session that was begun without a certificate is not resumed where one is required, on the same listener.
func TestTicketOfAnotherProtocol(t *testing.T) {
	a := open(t, newDir(t))
	server := listen(t, a, Listener{Protocols: native})
	client := trusting(t, a.Bundle())
	client.ClientSessionCache = tls.NewLRUClientSessionCache(1)
	client.NextProtos = []string{"h2"}
	m := meet(server, client)
	m.mustSucceed(t)
	client.NextProtos = []string{"jackfield-data/1"}
	m = meet(server, client)
	m.mustFail(t, "didn't provide")
}

func TestExpiredClientCertificate(t *testing.T) {
	a := open(t, newDir(t))
	client, _ := enrol(t, a, ada, time.Nanosecond)
	server := listen(t, a, Listener{Clients: Optional})
	for m := meet(server, client); ; m = meet(server, client) {
		if m.serverErr != nil { // times in certificates are whole seconds
			m.mustFail(t, "expired")
			return
		}
	}
}
