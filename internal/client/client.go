// Package client is the side of the person who uses a server: where they have logged in, how they know that server again, and
// streams to its services.
//
//	contexts, err := client.Open(dir)                 // what "jackfield login" has kept
//	login, err := contexts.Current()
//	server, err := client.NewServer(*login, contexts)
//	defer server.Close()
//	services, err := server.API.Services(ctx)
//	stream, err := server.Dial(ctx, "console.fpga-1") // HTTP CONNECT (RFC 9110, section 9.3.6)
//	stream.CloseWrite()                               // the service sees the end; its answer still arrives
//
// Rules:
//   - A server is known by the system's authorities, or by certificates that were pinned at the first login. One that shows
//     another certificate gets no secret.
//   - When the server's authority rotates, the old one vouches for the new one, which is pinned then. That needs one contact
//     while both are accepted.
//   - Secrets are in files that only their owner may read, and in no error.
//   - A stream costs one connection and one round trip after TLS.
//
// It asks nobody anything, prints nothing and starts nothing: that is the command line's.
package client

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"jackfield/internal/api"
)

// What a client waits for at most.
const (
	openTimeout   = 30 * time.Second // until a stream is open: name, TCP, TLS, and the server's route
	followTimeout = 5 * time.Second
)

// A Server is one that somebody has logged in to. It may be used by many goroutines at once. Close it.
type Server struct {
	API *api.Client

	login    Login
	contexts *Contexts // keeps new authorities; may be nil
	base     *url.URL
	trust    atomic.Pointer[tls.Config] // nil without TLS
	rotated  atomic.Bool                // the newest authority is not pinned yet
	settled  atomic.Bool                // there is no newer authority to be pinned
}

// NewServer makes a server of what a login has left. It connects when it is asked something. The contexts, which may be nil,
// are told when the server has a new authority.
func NewServer(l Login, contexts *Contexts) (*Server, error) {
	base, err := parseURL(l.URL)
	if err != nil {
		return nil, err
	}
	s := &Server{login: l, contexts: contexts, base: base}
	o := api.ClientOptions{URL: l.URL, Token: l.Token, Explain: s.explain}
	if base.Scheme == "https" {
		roots, err := pool(l.Authorities)
		if err != nil {
			return nil, fmt.Errorf("the authority that is pinned for %s cannot be read: %w (log in again)", l.URL, err)
		}
		s.trust.Store(s.tls(roots))
		o.Roots, o.Verified = roots, s.verified
	}
	if s.API, err = api.NewClient(o); err != nil {
		return nil, err
	}
	return s, nil
}

// tls makes what a connection for a stream needs. HTTP/1.1 is chosen since a stream there has the connection for itself.
func (s *Server) tls(roots *x509.CertPool) *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS12, RootCAs: roots, ServerName: s.base.Hostname(), NextProtos: []string{"http/1.1"},
		DynamicRecordSizingDisabled: true, // large records from the first byte
		VerifyConnection: func(c tls.ConnectionState) error {
			s.verified(c)
			return nil
		},
	}
}

// URL is the server's address, such as "https://jackfield.example.org".
func (s *Server) URL() string { return s.login.URL }

// Host is the name or address in it.
func (s *Server) Host() string { return s.base.Hostname() }

// Close closes connections that are idle. It may take a moment to pin the server's new authority.
func (s *Server) Close() {
	s.follow(context.Background())
	s.API.Close()
}

// ParseURL returns a server's address as it is kept: scheme, host and, where it is not the usual one, port. Without a scheme,
// that is https. http would tell everybody the token, so it is for loopback addresses alone; that localhost is one is looked at when
// a connection is made.
func ParseURL(text string) (string, error) {
	if !strings.Contains(text, "://") {
		text = "https://" + text
	}
	u, err := parseURL(text)
	if err != nil {
		return "", err
	}
	return u.String(), nil
}

func parseURL(text string) (*url.URL, error) {
	u, err := url.Parse(text)
	if err == nil && u.User != nil {
		return nil, fmt.Errorf("the address of a server holds no user and no password") // and is not repeated
	}
	if err != nil || u.Hostname() == "" || u.Scheme != "https" && u.Scheme != "http" ||
		strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "" {
		return nil, fmt.Errorf("%q is not the address of a server: it looks like https://jackfield.example.org", text)
	}
	if u.Scheme == "http" && !isLoopback(u.Hostname()) {
		return nil, fmt.Errorf("%s would send your password or token unencrypted: say https://%s", u, u.Host)
	}
	host := strings.ToLower(u.Host)
	if u.Port() == usualPort(u.Scheme) || u.Port() == "" {
		host = strings.TrimSuffix(strings.TrimSuffix(host, u.Port()), ":")
	}
	return &url.URL{Scheme: u.Scheme, Host: host}, nil
}

func usualPort(scheme string) string {
	if scheme == "http" {
		return "80"
	}
	return "443"
}

func isLoopback(host string) bool {
	address, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && address.IsLoopback()
}

// address is where to connect to.
func (s *Server) address() string {
	port := s.base.Port()
	if port == "" {
		port = usualPort(s.base.Scheme)
	}
	return net.JoinHostPort(s.base.Hostname(), port)
}
