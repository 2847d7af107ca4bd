package server

import (
	"context"
	"fmt"
	"time"

	"jackfield"
	"jackfield/internal/api"
	"jackfield/internal/authority"
	"jackfield/internal/authority/ledger"
)

// certificates is what the API can do with the authority.
type certificates struct{ *Server }

func (c certificates) Authority() api.Authority {
	a := c.state.authority
	until, _ := a.OldUntil()
	return api.Authority{Bundle: string(a.Bundle()), Fingerprint: a.Fingerprint(), OldUntil: until}
}

// Issue signs for a user of the directory, or a device, which need not be in the configuration yet.
func (c certificates) Issue(ctx context.Context, request []byte, kind, name string, lifetime time.Duration) (api.IssuedCertificate, error) {
	subject := authority.Subject{Kind: authority.Kind(kind), Name: name}
	userID := ""
	if subject.Kind == authority.User {
		user, err := c.state.directory.User(name)
		if err != nil {
			return api.IssuedCertificate{}, err
		}
		subject.Name, userID = user.Name, user.ID
	}
	signed, entry, err := c.sign(ctx, request, subject, userID, lifetime)
	if err != nil {
		return api.IssuedCertificate{}, err
	}
	return api.IssuedCertificate{Certificate: c.describe(entry), PEM: string(signed)}, nil
}

// sign has a certificate signed, which it returns in PEM, and remembers it.
func (s *Server) sign(ctx context.Context, request []byte, subject authority.Subject, userID string, lifetime time.Duration) (
	[]byte, ledger.Entry, error,
) {
	signed, err := s.state.authority.Sign(request, subject, lifetime)
	if err != nil {
		return nil, ledger.Entry{}, jackfield.Refuse(jackfield.Invalid, err.Error(), nil)
	}
	entry := ledger.Entry{
		Serial: signed.Serial, Kind: subject.Kind, Name: subject.Name, UserID: userID,
		Authority: s.state.authority.Fingerprint(), Issued: time.Now().UTC(), NotAfter: signed.NotAfter.UTC(),
	}
	if err := s.state.ledger.Add(ctx, entry); err != nil {
		return nil, ledger.Entry{}, err
	}
	s.log.Info("certificate issued", "serial", entry.Serial, "for", subject.String(), "not_after", entry.NotAfter)
	return signed.PEM, entry, nil
}

func (c certificates) describe(e ledger.Entry) api.Certificate {
	return api.Certificate{
		Serial: e.Serial, Kind: string(e.Kind), Name: e.Name, Issued: e.Issued, Expires: e.NotAfter, Revoked: c.state.void(e),
	}
}

// void says whether a certificate is good for nothing any more, though it may not have expired: it was revoked, its authority is
// not accepted, its user is not there, or its agent is not there or has another one.
func (s *state) void(e ledger.Entry) bool {
	if !e.Revoked.IsZero() {
		return true
	}
	if _, overlap := s.authority.OldUntil(); !overlap && e.Authority != s.authority.Fingerprint() {
		return true
	}
	switch e.Kind {
	case authority.User:
		user, err := s.directory.User(e.Name)
		return err != nil || user.ID != e.UserID
	case authority.Agent:
		_, there := s.agents.Holder(e.Serial)
		return !there
	}
	return false
}

// refused is asked at every handshake. Of users, the directory is asked when they make a call.
func (s *state) refused(subject authority.Subject, serial string) bool {
	if subject.Kind == authority.Agent {
		if _, there := s.agents.Holder(serial); !there {
			return true
		}
	}
	return s.ledger.Void(subject, serial)
}

func (c certificates) Issued(context.Context) ([]api.Certificate, error) {
	var list []api.Certificate
	for _, e := range c.state.ledger.List() {
		list = append(list, c.describe(e))
	}
	return list, nil
}

func (c certificates) Revoke(ctx context.Context, serial string) (api.Certificate, error) {
	entry, err := c.state.ledger.Revoke(ctx, serial)
	if err != nil {
		return api.Certificate{}, err
	}
	c.log.Info("certificate revoked", "serial", serial, "for", entry.Subject().String())
	return c.describe(entry), nil
}

// Retire also revokes what the old authority has signed, which cuts those who are connected.
func (c certificates) Retire(ctx context.Context) error {
	if err := c.state.authority.RetireOld(); err != nil {
		return err
	}
	for _, e := range c.state.ledger.List() {
		if e.Authority == c.state.authority.Fingerprint() || !e.Revoked.IsZero() {
			continue
		}
		if _, err := c.state.ledger.Revoke(ctx, e.Serial); err != nil {
			return fmt.Errorf("the old authority is retired, but what it has signed is not revoked yet: %w", err)
		}
	}
	return nil
}

func (c certificates) Rotate(ctx context.Context) error {
	if _, there := c.state.authority.OldUntil(); there {
		return jackfield.Refuse(jackfield.Busy, "the last rotation is not over: retire the old authority first, or wait", nil)
	}
	if err := c.state.authority.Rotate(); err != nil {
		return err
	}
	if err := c.state.noteAuthority(ctx, c.generation().config); err != nil {
		return fmt.Errorf("the authority was rotated, but the other servers cannot be told: %w", err)
	}
	return nil
}
