package client_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"errors"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"jackfield/internal/api"
	"jackfield/internal/client"
)

// serveAt makes a server whose certificates begin at that time, and whose clock says so.
func serveAt(t *testing.T, begin, clock time.Time) *httptest.Server {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	root := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "authority"}, NotBefore: begin, NotAfter: begin.AddDate(0, 1, 0),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	leaf := &x509.Certificate{
		SerialNumber: big.NewInt(2), NotBefore: root.NotBefore, NotAfter: root.NotAfter, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	rootText, err := x509.CreateCertificate(rand.Reader, root, root, key.Public(), key)
	leafText, err2 := x509.CreateCertificate(rand.Reader, leaf, root, key.Public(), key)
	if err := errors.Join(err, err2); err != nil {
		t.Fatal(err)
	}
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if !clock.IsZero() {
			w.Header().Set("Date", clock.UTC().Format(http.TimeFormat))
		}
		bundle := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: rootText})
		if err := json.NewEncoder(w).Encode(api.Authority{Bundle: string(bundle)}); err != nil {
			t.Error(err)
		}
	}))
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.TLS = &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{leafText}, PrivateKey: key}}}
	s.StartTLS()
	t.Cleanup(s.Close)
	return s
}

// Where the clocks are a year apart, both are told; where the server is wrong by its own clock, too, that is not the reason.
func TestMeetByAnotherClock(t *testing.T) {
	now := time.Now()
	for _, years := range []int{-1, 1} {
		there := now.AddDate(years, 0, 0)
		s := serveAt(t, there.Add(-time.Hour), there)
		_, err := client.Meet(t.Context(), s.URL)
		clocks, is := errors.AsType[*client.ClockError](err)
		if !is || clocks.Server.Unix() != there.Unix() || clocks.Here.Before(now) {
			t.Errorf("%d years: %v", years, err)
			continue
		}
		for _, part := range []string{s.URL, "here it is " + clocks.Here.UTC().Format(time.RFC3339), "there " + there.UTC().Format(time.RFC3339)} {
			if !strings.Contains(err.Error(), part) {
				t.Errorf("%q is not in: %v", part, err)
			}
		}
	}
	_, err := client.Meet(t.Context(), serveAt(t, now.AddDate(-1, 0, 0), now).URL)
	if _, is := errors.AsType[*client.ClockError](err); is {
		t.Errorf("it has expired by both clocks: %v", err)
	}
	wantError(t, err, "has expired")
}
