package cli

import (
	"context"
	"sync"

	"jackfield"
	"jackfield/internal/client"
)

// A renewer opens sessions for a command that runs for long. Where the token of its login is not good any more, it takes the one
// of a later login to the same server in the same context. Close it.
type renewer struct {
	context loginFlags

	mu     sync.Mutex
	login  client.Login   // guarded by mu
	server *client.Server // guarded by mu
}

func newRenewer(flags loginFlags) (*renewer, error) {
	l, contexts, err := flags.login()
	if err != nil {
		return nil, err
	}
	server, err := client.NewServer(*l, contexts)
	if err != nil {
		return nil, err
	}
	return &renewer{context: loginFlags{l.Context}, login: *l, server: server}, nil
}

// dial opens a session with a service.
func (r *renewer) dial(ctx context.Context, name jackfield.Name) (jackfield.Stream, error) {
	server := r.current()
	stream, err := server.Dial(ctx, name)
	if jackfieldKind(err) != jackfield.Unauthenticated {
		return stream, err
	}
	renewed := r.renew(server)
	if renewed == nil {
		return nil, err
	}
	return renewed.Dial(ctx, name)
}

func (r *renewer) current() *client.Server {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.server
}

// renew returns the server with a newer token than that which it has refused; nil without one.
func (r *renewer) renew(refused *client.Server) *client.Server {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.server != refused {
		return r.server
	}
	l, contexts, err := r.context.login()
	if err != nil || l.URL != r.login.URL || l.Token == r.login.Token {
		return nil
	}
	fresh, err := client.NewServer(*l, contexts)
	if err != nil {
		return nil
	}
	refused.Close()
	r.login, r.server = *l, fresh
	return fresh
}

func (r *renewer) close() { r.current().Close() }
