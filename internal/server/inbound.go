package server

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"sync"

	"jackfield/internal/authority"
	"jackfield/internal/config"
	"jackfield/internal/link"
	messages "jackfield/internal/link/control"
	"jackfield/wire/inedo"
)

// dialling are the links to inbound agents, which the server keeps up: one for each that the configuration has.
type dialling struct {
	mu   sync.Mutex
	kept map[string]keptLink // by agent
}

// A keptLink is a link that is kept up, as long as its agent's block says the same.
type keptLink struct {
	as   inboundBlock
	stop context.CancelCauseFunc
}

// An inboundBlock is all that matters to the link of what a block says, and of what its files hold.
type inboundBlock struct {
	Address, Encryption, KeyFile, AESKeyFile, CAFile, ServerName, Fingerprint string

	Files [sha256.Size]byte
}

func inboundOf(a *config.Agent) inboundBlock {
	return inboundBlock{
		a.Address, a.Encryption, a.KeyFile, a.AESKeyFile, a.CAFile, a.ServerName, a.Fingerprint,
		digest(a.KeyFile, a.AESKeyFile, a.CAFile),
	}
}

// digest changes when a file does. One that cannot be read is like one that is not there: who needs it will say so.
func digest(paths ...string) (sum [sha256.Size]byte) {
	whole := sha256.New()
	for _, path := range paths {
		text, _ := os.ReadFile(path)
		part := sha256.Sum256(text)
		whole.Write(part[:])
	}
	return [sha256.Size]byte(whole.Sum(nil))
}

var (
	errAgentUnknown = errors.New("the configuration does not know the agent any more")
	errAgentChanged = errors.New("the configuration has another way to the agent")
)

// dialAgents keeps links to the inbound agents of a configuration, in place of those of an earlier one.
func (s *Server) dialAgents(c *config.Config) {
	s.dialling.mu.Lock()
	defer s.dialling.mu.Unlock()
	wanted := make(map[string]*config.Agent)
	for _, a := range c.Agents {
		if a.Inbound() {
			wanted[a.Name] = a
		}
	}
	for name, kept := range s.dialling.kept {
		switch a := wanted[name]; {
		case a == nil:
			kept.stop(errAgentUnknown)
		case inboundOf(a) != kept.as:
			kept.stop(errAgentChanged)
		default:
			delete(wanted, name)
			continue
		}
		delete(s.dialling.kept, name)
	}
	for name, a := range wanted {
		if s.dialling.kept == nil {
			s.dialling.kept = make(map[string]keptLink)
		}
		s.dialling.kept[name] = keptLink{inboundOf(a), s.keepInbound(a)}
	}
}

// keepInbound keeps the link to an agent until stop is called. What its files hold was checked when the generation was built.
func (s *Server) keepInbound(a *config.Agent) (stop context.CancelCauseFunc) {
	ctx, stop := context.WithCancelCause(s.ctx)
	in, err := s.inbound(a)
	if err != nil {
		s.log.Error("an agent cannot be dialled", "agent", a.Name, "error", err)
		return stop
	}
	s.running.Go(func() { s.agents.KeepInbound(ctx, in, agentSide{s}) })
	return stop
}

func (s *Server) inbound(a *config.Agent) (link.Inbound, error) {
	protocol, key, err := inboundProtocol(a)
	if err != nil {
		return link.Inbound{}, err
	}
	if protocol.Mode == inedo.ModeSSL {
		if protocol.TLS, err = s.inboundTLS(a); err != nil {
			return link.Inbound{}, err
		}
	}
	return link.Inbound{
		Agent: a.Name, Address: a.Address, Protocol: protocol, Key: key, Version: "jackfield " + s.version, NewID: s.sessions.NewID, Log: s.log,
	}, nil
}

// checkInbound reads the files of an inbound agent, so that a key that is none keeps the configuration from being used.
func (g *generation) checkInbound(a *config.Agent) {
	if _, _, err := inboundProtocol(a); err != nil {
		g.fail(fmt.Errorf("%s: agent %q: %w", a.Where, a.Name, err))
	}
	if a.CAFile != "" {
		if _, err := rootsIn(a.CAFile); err != nil {
			g.fail(fmt.Errorf("%s: agent %q: %w", a.Where, a.Name, err))
		}
	}
}

// inboundProtocol is how an agent is spoken to, but for TLS.
func inboundProtocol(a *config.Agent) (protocol inedo.ClientConfig, key messages.Key, err error) {
	protocol.MinProtocol, protocol.MaxData, protocol.AnyVersion = inedo.V2, messages.MaxData, true
	protocol.Width = inedo.WidthWide
	text, err := os.ReadFile(a.KeyFile)
	if err != nil {
		return protocol, key, err
	}
	if key, err = messages.ParseKey(string(text)); err != nil {
		return protocol, key, fmt.Errorf("%s: %w", a.KeyFile, err)
	}
	switch a.Encryption {
	case "ssl":
		protocol.Mode = inedo.ModeSSL
	case "aes":
		protocol.Mode = inedo.ModeAES
		if text, err = os.ReadFile(a.AESKeyFile); err != nil {
			return protocol, key, err
		}
		if protocol.Key, err = inedo.ParseKey(strings.TrimSpace(string(text))); err != nil {
			return protocol, key, fmt.Errorf("%s: %w", a.AESKeyFile, err)
		}
	}
	return protocol, key, nil
}

func rootsIn(path string) (*x509.CertPool, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("%s holds no certificate in PEM", path)
	}
	return roots, nil
}

// inboundTLS says which certificate of an agent is believed: of an authority in a file, the one with a fingerprint, or that of the
// agent of this name which the server's own authority has signed.
func (s *Server) inboundTLS(a *config.Agent) (*tls.Config, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: a.ServerName}
	switch {
	case a.CAFile != "":
		var err error
		if config.RootCAs, err = rootsIn(a.CAFile); err != nil {
			return nil, err
		}
		if config.ServerName == "" {
			config.ServerName, _, _ = net.SplitHostPort(a.Address)
		}
		return config, nil
	case a.Fingerprint != "":
		config.VerifyConnection = func(c tls.ConnectionState) error { return hasFingerprint(c, a.Fingerprint) }
	default:
		config.VerifyConnection = func(c tls.ConnectionState) error { return s.isAgent(c, a.Name) }
	}
	config.InsecureSkipVerify = true // VerifyConnection does it, at each handshake
	return config, nil
}

func hasFingerprint(c tls.ConnectionState, fingerprint string) error {
	sum := sha256.Sum256(c.PeerCertificates[0].Raw)
	if subtle.ConstantTimeCompare([]byte(hex.EncodeToString(sum[:])), []byte(fingerprint)) != 1 {
		return errors.New("the agent's certificate has another fingerprint than the configuration")
	}
	return nil
}

// isAgent says whether a certificate is one of the server's own authority, for the agent of that name, and in force.
func (s *Server) isAgent(c tls.ConnectionState, name string) error {
	certificate := c.PeerCertificates[0]
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(s.state.authority.Bundle())
	if _, err := certificate.Verify(x509.VerifyOptions{Roots: roots, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}); err != nil {
		return err
	}
	holder, serial, err := s.state.agentOf(certificate)
	if err != nil {
		return err
	}
	subject, _, err := authority.ParsePeer(certificate) // the name that it was signed for
	if err != nil {
		return err
	}
	if holder.Name != name || s.state.refused(subject, serial) {
		return fmt.Errorf("the certificate is not that of agent %s, or is revoked", name)
	}
	return nil
}
