package client_test

import (
	"context"
	"crypto/tls"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"jackfield/internal/api"
	"jackfield/internal/authority"
	"jackfield/internal/client"
)

func newAuthority(t *testing.T) *authority.Authority {
	t.Helper()
	a, err := authority.Open(authority.Options{Dir: filepath.Join(t.TempDir(), "authority"), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// serveAs makes a fake whose certificate, for the names, is the authority's.
func serveAs(t *testing.T, a *authority.Authority, names ...string) *fake {
	t.Helper()
	certificate, err := a.ServerCertificate(names...)
	if err != nil {
		t.Fatal(err)
	}
	config, err := a.TLSConfig(authority.Listener{Certificates: []authority.Certificate{certificate}, Protocols: []string{"http/1.1"}})
	if err != nil {
		t.Fatal(err)
	}
	f := &fake{tunnels: map[string]func(net.Conn){"count:1": counted}}
	f.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f.authority.Store(&api.Authority{Bundle: string(a.Bundle()), Fingerprint: a.Fingerprint()})
		f.serve(w, r)
	}))
	f.Config.ErrorLog = log.New(io.Discard, "", 0)
	f.Server.Listener = tls.NewListener(f.Server.Listener, config)
	f.Start()
	f.URL = strings.Replace(f.URL, "http:", "https:", 1)
	t.Cleanup(f.Close)
	return f
}

func TestMeet(t *testing.T) {
	a := newAuthority(t)
	f := serveAs(t, a, "127.0.0.1")
	met, err := client.Meet(t.Context(), f.URL)
	if err != nil {
		t.Fatal(err)
	}
	if met.Known || met.Fingerprint() != a.Fingerprint() {
		t.Errorf("known %v, fingerprint %s, which is %s", met.Known, met.Fingerprint(), a.Fingerprint())
	}
	pinned, err := met.Pin(a.Fingerprint())
	if err != nil || pinned != string(a.Bundle()) {
		t.Errorf("pinned %q, %v", pinned, err)
	}
	_, err = met.Pin(strings.Repeat("0", 64))
	wantError(t, err, f.URL+" is not the server that it should be: its authority has the fingerprint "+a.Fingerprint())

	if err := a.Rotate(); err != nil {
		t.Fatal(err)
	}
	old := met.Fingerprint()
	if met, err = client.Meet(t.Context(), f.URL); err != nil || met.Fingerprint() != a.Fingerprint() {
		t.Fatalf("after the rotation: %v", err)
	}
	if _, err := met.Pin(old); err != nil {
		t.Errorf("the fingerprint from before: %v", err)
	}
}

func TestMeetStrangers(t *testing.T) {
	a, other := newAuthority(t), newAuthority(t)
	_, err := client.Meet(t.Context(), strings.Replace(newFake(t).URL, "127.0.0.1", "localhost", 1))
	wantError(t, err, "is for another name: use one of example.com, *.example.com, 127.0.0.1, ::1 in the address")

	// Who passes on what another server says of its authority cannot show its certificate.
	liar := serveAs(t, a, "127.0.0.1")
	liar.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		liar.authority.Store(&api.Authority{Bundle: string(other.Bundle()), Fingerprint: other.Fingerprint()})
		liar.serve(w, r)
	})
	met, err := client.Meet(t.Context(), liar.URL)
	if err != nil || met.Known {
		t.Fatalf("%+v, %v", met, err)
	}
	_, err = met.Pin(other.Fingerprint())
	wantError(t, err, "is not the server that it should be")

	plain := httptest.NewServer(http.NotFoundHandler())
	defer plain.Close()
	_, err = client.Meet(t.Context(), strings.Replace(plain.URL, "http:", "https:", 1))
	wantError(t, err, "does not speak TLS")
	if met, err := client.Meet(t.Context(), plain.URL); err != nil || !met.Known {
		t.Errorf("without TLS on this machine: %+v, %v", met, err)
	}
	if _, err := client.Meet(t.Context(), "https://127.0.0.1:1"); err == nil || !strings.Contains(err.Error(), "did not answer") {
		t.Errorf("nobody: %v", err)
	}
}

func wantError(t *testing.T, err error, part string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), part) {
		t.Errorf("%v does not say %q", err, part)
	}
}

// A pin refuses others before they are told anything, and goes with the server's own authority.
func TestPin(t *testing.T) {
	a, other := newAuthority(t), newAuthority(t)
	f := serveAs(t, a, "127.0.0.1")
	contexts := open(t)
	login := client.Login{Context: "test", URL: f.URL, Token: "jft_secret", Authorities: string(other.Bundle())}
	stranger, err := client.NewServer(login, contexts)
	if err != nil {
		t.Fatal(err)
	}
	defer stranger.Close()
	_, err = stranger.Dial(t.Context(), "count")
	wantError(t, err, "somebody may be in between")
	_, err = stranger.API.Services(t.Context())
	wantError(t, err, "somebody may be in between")
	if f.connects.Load() > 0 {
		t.Error("a stranger was asked")
	}

	login.Authorities = string(a.Bundle())
	if err := contexts.Save(login); err != nil {
		t.Fatal(err)
	}
	server, err := client.NewServer(login, contexts)
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	dial := func() {
		t.Helper()
		stream, err := server.Dial(t.Context(), "count")
		if err != nil {
			t.Fatal(err)
		}
		stream.Close()
	}
	dial()
	if kept, err := contexts.Load("test"); err != nil || *kept != login {
		t.Errorf("without a rotation, %+v is kept, %v", kept, err)
	}
	if err := a.Rotate(); err != nil {
		t.Fatal(err)
	}
	dial()
	if kept, err := contexts.Load("test"); err != nil || kept.Authorities != string(a.Bundle()) {
		t.Errorf("after a rotation, %+v is kept, %v", kept, err)
	}
	if err := a.RetireOld(); err != nil {
		t.Fatal(err)
	}
	dial() // by the same process

	// Another login that has slept through it all.
	_, err = mustServer(t, login).Dial(t.Context(), "count")
	wantError(t, err, "jackfield login "+f.URL+" --fingerprint FINGERPRINT")
}

func mustServer(t *testing.T, l client.Login) *client.Server {
	t.Helper()
	server, err := client.NewServer(l, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Close)
	return server
}

// A server whose certificate is not of its own authority, but has one between: nothing is pinned in its place.
func TestPinElsewhere(t *testing.T) {
	a, other := newAuthority(t), newAuthority(t)
	before := string(a.Bundle())
	if err := a.Rotate(); err != nil {
		t.Fatal(err)
	}
	f := serveAs(t, a, "127.0.0.1")
	f.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f.authority.Store(&api.Authority{Bundle: string(other.Bundle())})
		f.serve(w, r)
	})
	contexts := open(t)
	login := client.Login{Context: "test", URL: f.URL, Authorities: before}
	if err := contexts.Save(login); err != nil {
		t.Fatal(err)
	}
	server, err := client.NewServer(login, contexts)
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for range 2 {
		stream, err := server.Dial(ctx, "count")
		if err != nil {
			t.Fatal(err)
		}
		stream.Close()
	}
	if kept, err := contexts.Load("test"); err != nil || *kept != login {
		t.Errorf("%+v is kept, %v", kept, err)
	}
}

func TestParseFingerprint(t *testing.T) {
	want := strings.Repeat("0a", 32)
	for _, text := range []string{want, strings.ToUpper(want), strings.TrimSuffix(strings.Repeat("0A:", 32), ":"), " " + want + "\n"} {
		if got, err := client.ParseFingerprint(text); got != want || err != nil {
			t.Errorf("%q: %q, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "0a", want[:62], want + "0a", strings.Repeat("xy", 32)} {
		if got, err := client.ParseFingerprint(text); err == nil {
			t.Errorf("%q: %q", text, got)
		}
	}
}
