package server

import (
	"context"
	"crypto/x509"
	"errors"

	"jackfield"
	"jackfield/internal/identity"
	"jackfield/internal/listen/https"
)

// callers tells who the clients of CONNECT are.
type callers struct{ state *state }

// Bearer implements https.Callers.
func (c callers) Bearer(token string) (https.Caller, error) {
	caller, err := c.state.directory.Authenticate(token)
	if err != nil {
		return https.Caller{}, err
	}
	return connecting(caller, caller.Context), nil
}

var errVoid = errors.New("the certificate is not in force, or that of an earlier user of the same name")

// Owner implements https.Callers.
func (c callers) Owner(certificate *x509.Certificate) (https.Caller, error) {
	says, good := c.state.certificate(certificate)
	if !good {
		return https.Caller{}, jackfield.Refuse(jackfield.Unauthenticated, "the certificate is not in force", errVoid)
	}
	caller, err := c.state.directory.CallerOf(says)
	if err != nil {
		return https.Caller{}, err
	}
	return connecting(caller, func(ctx context.Context) (context.Context, context.CancelFunc) {
		inForce, release := c.state.whileInForce(ctx, certificate)
		ctx, leave := caller.Context(inForce)
		return ctx, func() { leave(); release() }
	}), nil
}

func connecting(c *identity.Caller, inForce func(context.Context) (context.Context, context.CancelFunc)) https.Caller {
	return https.Caller{Identity: c.Identity, MayConnect: c.Has(identity.Connect), InForce: inForce}
}
