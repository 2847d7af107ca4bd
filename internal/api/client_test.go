package api_test

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"jackfield"
	"jackfield/internal/api"
	"jackfield/internal/api/apitest"
	"jackfield/internal/identity"
)

// A server whose certificate is its own authority's.
type selfSigned struct {
	api.Certificates
	certificate *x509.Certificate
}

func (s *selfSigned) Authority() api.Authority {
	return api.Authority{Bundle: string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.certificate.Raw}))}
}

func TestPinnedRoots(t *testing.T) {
	authority := &selfSigned{}
	s := apitest.NewWith(t, apitest.Setup{Options: func(o *api.Options) {
		authority.Certificates = o.Certificates
		o.Certificates = authority
	}})
	server := httptest.NewUnstartedServer(s.Handler(api.Entrance{Listener: "web", Protocol: "https"}))
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // a client that does not trust it is part of the test
	server.StartTLS()
	defer server.Close()
	authority.certificate = server.Certificate()
	sum := sha256.Sum256(authority.certificate.Raw)
	roots, err := api.PinnedRoots(t.Context(), server.URL, strings.ToUpper(hex.EncodeToString(sum[:])))
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		roots *x509.CertPool
		want  string
	}{
		"pinned":     {roots, ""},
		"not pinned": {nil, "certificate"},
	} {
		client, err := api.NewClient(api.ClientOptions{URL: server.URL, Roots: c.roots, Token: s.User})
		if err != nil {
			t.Fatal(err)
		}
		_, err = client.Me(t.Context())
		client.Close()
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := api.PinnedRoots(t.Context(), server.URL, strings.Repeat("00", 32)); err == nil || !strings.Contains(err.Error(), "not the server") {
		t.Errorf("another fingerprint: %v", err)
	}
}

func TestClientCertificate(t *testing.T) {
	s := apitest.New(t)
	name := "bob"
	client := serveSocket(t, s.Handler(api.Entrance{Listener: "web", Protocol: "https", Certificate: func(*http.Request) (identity.Certificate, bool) {
		return identity.Certificate{Kind: "user", Name: name}, name != ""
	}}))
	if me, err := client.Me(t.Context()); err != nil || me.User != "bob" || me.Proof != "certificate" || me.Token != "" {
		t.Errorf("%+v, %v", me, err)
	}
	if err := client.Logout(t.Context()); jackfield.AsError(err).Kind != jackfield.Invalid {
		t.Errorf("a logout without a token: %v", err)
	}
	for _, name = range []string{"nobody", ""} {
		if _, err := client.Me(t.Context()); jackfield.AsError(err).Kind != jackfield.Unauthenticated {
			t.Errorf("%q: %v", name, err)
		}
	}
}

func TestClientErrors(t *testing.T) {
	strange := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/version") {
			http.Redirect(w, r, "https://elsewhere.example.org/", http.StatusFound)
			return
		}
		w.Write([]byte("<html>"))
	}))
	defer strange.Close()
	client, err := api.NewClient(api.ClientOptions{URL: strange.URL})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	_, err = client.Me(t.Context())
	wantError(t, err, "does not speak like a Jackfield server")
	_, err = client.Version(t.Context())
	wantError(t, err, "302")
	for _, bad := range []string{"", "jackfield", "ftp://a", "https://", "https://a/path", "://"} {
		_, err := api.NewClient(api.ClientOptions{URL: bad})
		wantError(t, err, "is not the address of a server")
	}
	nowhere, err := api.NewClient(api.ClientOptions{Socket: filepath.Join(os.TempDir(), "no-such-socket")})
	if err != nil {
		t.Fatal(err)
	}
	_, err = nowhere.Me(t.Context())
	wantError(t, err, "no server runs with")
}

func wantError(t *testing.T, err error, part string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), part) {
		t.Errorf("%v does not say %q", err, part)
	}
}

// Without TLS nothing goes to another machine, whatever a name stands for.
func TestLoopbackOnly(t *testing.T) {
	for _, address := range []string{"127.0.0.1:80", "127.8.8.8:1", "[::1]:8080", "[::ffff:127.0.0.1]:80"} {
		if err := api.LoopbackOnly("tcp", address, nil); err != nil {
			t.Errorf("%s: %v", address, err)
		}
	}
	for _, address := range []string{"192.0.2.1:80", "0.0.0.0:80", "[::]:80", "[2001:db8::1]:80", "[fe80::1%lo]:80", "[::ffff:192.0.2.1]:80", "localhost:80", ""} {
		if err := api.LoopbackOnly("tcp", address, nil); !errors.Is(err, api.ErrPlain) {
			t.Errorf("%s: %v", address, err)
		}
	}
	var why error
	c, err := api.NewClient(api.ClientOptions{URL: "http://192.0.2.1", Token: "jft_secret", Explain: func(err error) error {
		why = err
		return nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Me(t.Context()); err == nil || !errors.Is(why, api.ErrPlain) {
		t.Errorf("%v, because of %v", err, why)
	}
}
