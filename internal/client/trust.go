package client

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"jackfield/internal/api"
)

// maxBundle is the length in bytes of the longest answer with a server's authorities that is read before it is trusted.
const maxBundle = 1 << 20

// An Introduction is what a server shows to somebody who does not trust it yet.
type Introduction struct {
	// Known says that the system's authorities vouch for the server: nothing needs to be pinned.
	Known bool

	// Authorities are those that vouch for the certificate that the server shows, by its own word, the newest first.
	Authorities []*x509.Certificate

	url string
}

// Meet asks a server who it is. Nothing secret is sent.
func Meet(ctx context.Context, serverURL string) (*Introduction, error) {
	u, err := parseURL(serverURL)
	if err != nil {
		return nil, err
	}
	if u.Scheme == "http" {
		return &Introduction{Known: true, url: serverURL}, nil // of this machine
	}
	shown, told, clock, err := askWhoItIs(ctx, serverURL)
	if err != nil {
		return nil, err
	}
	i := &Introduction{url: serverURL}
	var refusal, late error
	verified := func(authority *x509.Certificate) error {
		_, err := verify(shown, u.Hostname(), authority, time.Time{})
		if isExpired(err) {
			if _, err := verify(shown, u.Hostname(), authority, clock); err == nil {
				late = &ClockError{URL: serverURL, Server: clock, Here: time.Now()}
			}
		}
		return err
	}
	i.Known = verified(nil) == nil
	vouches := func(authority *x509.Certificate) bool {
		refusal = verified(authority)
		return refusal == nil
	}
	for _, authority := range told {
		if vouches(authority) {
			i.Authorities = append(i.Authorities, authority)
		}
	}
	// A certificate that the server's administrator has from elsewhere: the best that is shown is pinned.
	if last := shown[len(shown)-1]; len(i.Authorities) == 0 && vouches(last) {
		i.Authorities = append(i.Authorities, last)
	}
	if !i.Known && len(i.Authorities) == 0 {
		if late != nil {
			return nil, late
		}
		return nil, unanswered(serverURL, refusal)
	}
	return i, nil
}

// A ClockError says that a server's certificate is good by the server's clock, and not by ours.
type ClockError struct {
	URL          string
	Server, Here time.Time
}

func (e *ClockError) Error() string {
	return fmt.Sprintf("the clocks of this machine and of %s do not agree, and by this one the server's certificate is not good: here it is"+
		" %s, there %s: set the one that is wrong, and try again", e.URL, e.Here.UTC().Format(time.RFC3339), e.Server.UTC().Format(time.RFC3339))
}

func isExpired(err error) bool {
	invalid, is := errors.AsType[x509.CertificateInvalidError](err)
	return is && invalid.Reason == x509.Expired // or not good yet
}

// askWhoItIs returns the certificates of the handshake, those of the server's authorities, which are none if it does not tell, and
// the time by its clock, which is zero if it does not tell.
func askWhoItIs(ctx context.Context, serverURL string) (shown, told []*x509.Certificate, clock time.Time, err error) {
	ctx, cancel := context.WithTimeout(ctx, openTimeout)
	defer cancel()
	transport := &http.Transport{TLSClientConfig: &tls.Config{
		InsecureSkipVerify: true, // what is shown is verified by the caller, and what is told is what it is verified with
	}}
	defer transport.CloseIdleConnections()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, serverURL+api.Base+"/certificates/authority", nil)
	if err != nil {
		return nil, nil, clock, err
	}
	answer, err := transport.RoundTrip(r)
	if err != nil {
		return nil, nil, clock, unanswered(serverURL, err)
	}
	defer answer.Body.Close()
	shown = answer.TLS.PeerCertificates
	var authority api.Authority
	if json.NewDecoder(io.LimitReader(answer.Body, maxBundle)).Decode(&authority) == nil {
		told, _ = parseCertificates(authority.Bundle) // what is none cannot vouch
	}
	clock, _ = http.ParseTime(answer.Header.Get("Date")) // without one there is no explaining
	return shown, told, clock, nil
}

// verify finds chains from the authority, or from the system's, to the certificate that was shown, as they are good at that time;
// now, if it is zero.
func verify(shown []*x509.Certificate, host string, authority *x509.Certificate, at time.Time) ([][]*x509.Certificate, error) {
	o := x509.VerifyOptions{DNSName: host, Intermediates: x509.NewCertPool(), CurrentTime: at}
	for _, c := range shown[1:] {
		o.Intermediates.AddCert(c)
	}
	if authority != nil {
		o.Roots = x509.NewCertPool()
		o.Roots.AddCert(authority)
	}
	return shown[0].Verify(o)
}

// Fingerprint is the SHA-256 of a certificate in hexadecimal digits.
func Fingerprint(c *x509.Certificate) string {
	sum := sha256.Sum256(c.Raw)
	return hex.EncodeToString(sum[:])
}

// Fingerprint is that of the newest authority, for a person to compare.
func (i *Introduction) Fingerprint() string {
	if len(i.Authorities) == 0 {
		return ""
	}
	return Fingerprint(i.Authorities[0])
}

// ParseFingerprint reads 64 hexadecimal digits, with or without colons between them.
func ParseFingerprint(text string) (string, error) {
	digits := strings.ToLower(strings.ReplaceAll(strings.TrimSpace(text), ":", ""))
	if raw, err := hex.DecodeString(digits); err != nil || len(raw) != sha256.Size {
		return "", fmt.Errorf("%.100q is not a fingerprint: it has 64 hexadecimal digits", text)
	}
	return digits, nil
}

// Pin returns the authority that has the fingerprint, for [Login.Authorities].
func (i *Introduction) Pin(fingerprint string) (string, error) {
	for _, c := range i.Authorities {
		if Fingerprint(c) == fingerprint {
			return encodeCertificates(c), nil
		}
	}
	if len(i.Authorities) == 0 {
		return "", fmt.Errorf("%s is not the server that it should be: no authority of that fingerprint vouches for it", i.url)
	}
	return "", fmt.Errorf("%s is not the server that it should be: its authority has the fingerprint %s", i.url, i.Fingerprint())
}

// verified notes that the server has an authority for which one that is pinned vouches.
func (s *Server) verified(c tls.ConnectionState) {
	if s.login.Authorities == "" || s.settled.Load() {
		return
	}
	for _, chain := range c.VerifiedChains {
		if len(chain) <= 2 {
			return
		}
	}
	s.rotated.Store(len(c.VerifiedChains) > 0)
}

// follow pins the authorities that the server, which has proved to be itself, accepts now. What goes wrong is left for the next
// time: the authority before is still good.
func (s *Server) follow(ctx context.Context) {
	if !s.rotated.CompareAndSwap(true, false) {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, followTimeout)
	defer cancel()
	authority, err := s.API.Authority(ctx)
	s.rotated.Store(false) // that very call has found it again
	if err != nil {
		return
	}
	roots, err := pool(authority.Bundle)
	if err != nil {
		return
	}
	trust := s.tls(roots)
	if !s.vouched(ctx, trust) {
		s.settled.Store(true)
		return // its certificate is not of its own authority, so that cannot have rotated
	}
	s.trust.Store(trust)
	if s.contexts == nil {
		return
	}
	if kept, err := s.contexts.Load(s.login.Context); err == nil && kept.URL == s.login.URL {
		kept.Authorities = authority.Bundle
		_ = s.contexts.Save(*kept)
	}
}

// vouched says whether the server can be reached by what would be pinned.
func (s *Server) vouched(ctx context.Context, trust *tls.Config) bool {
	conn, err := s.connect(ctx, trust)
	if err != nil {
		return false
	}
	_ = conn.Close()
	return true
}

// pool makes a pool of certificates in PEM; nil, which is the system's, of none.
func pool(text string) (*x509.CertPool, error) {
	if text == "" {
		return nil, nil
	}
	certificates, err := parseCertificates(text)
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	for _, c := range certificates {
		roots.AddCert(c)
	}
	return roots, nil
}

func parseCertificates(text string) ([]*x509.Certificate, error) {
	var all []*x509.Certificate
	for rest := []byte(text); ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, err
		}
		all = append(all, c)
	}
	if len(all) == 0 {
		return nil, errors.New("there is no certificate in PEM")
	}
	return all, nil
}

func encodeCertificates(certificates ...*x509.Certificate) string {
	var text []byte
	for _, c := range certificates {
		text = append(text, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})...)
	}
	return string(text)
}
