package identity

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"jackfield"
)

func TestAuthenticate(t *testing.T) {
	d := withUsers(t)
	addUser(t, d, NewUser{Name: "ada", Groups: []string{"lab"}, Admin: true})
	secret, token := addToken(t, d, NewToken{User: "ada", Scopes: []Scope{Admin, Read}})
	c := authenticate(t, d, secret)
	if c.Identity.User != "ada" || !slices.Equal(c.Identity.Groups, []string{"lab"}) || c.Identity.Proof != jackfield.ProofToken ||
		!c.Admin || !c.Has(Read) || c.Has(Write) || c.TokenID != token.ID || !c.Expires.Equal(token.Expires) {
		t.Errorf("got %+v", c)
	}
	no := false
	if _, err := d.ChangeUser(t.Context(), "ada", 0, Change{Admin: &no}); err != nil {
		t.Fatal(err)
	}
	if c := authenticate(t, d, secret); c.Admin || c.Has(Admin) || !c.Has(Read) {
		t.Errorf("a token has more than its user: %+v", c)
	}
	plain, _ := addToken(t, d, NewToken{User: "root", Scopes: []Scope{Read}})
	if authenticate(t, d, plain).Admin {
		t.Error("a token without the scope administers")
	}
}

func TestAuthenticateRefuses(t *testing.T) {
	d := withUsers(t, "ada")
	secret, _ := addToken(t, d, NewToken{User: "ada"})
	oneTime, _ := addToken(t, d, NewToken{User: "ada", OneTime: true})
	for name, wrong := range map[string]string{
		"empty": "", "truncated": secret[:40], "unknown": newSecret(), "one-time": oneTime, "password": password,
	} {
		c, err := d.Authenticate(wrong)
		if err == nil {
			t.Errorf("%s: %+v", name, c)
			continue
		}
		wantKind(t, err, jackfield.Unauthenticated)
	}
}

// TestContextEnds changes something for a caller who is an admin in a group, and looks at why the context ended.
func TestContextEnds(t *testing.T) {
	yes, no, none, more := true, false, []string{}, []string{"lab", "ops"}
	for name, c := range map[string]struct {
		change   func(ctx context.Context, d *Directory, token string) error
		sentence string
		kind     error
	}{
		"token": {func(ctx context.Context, d *Directory, token string) error { return d.RemoveToken(ctx, token) },
			"token revoked", ErrRevoked},
		"user": {func(ctx context.Context, d *Directory, _ string) error { return d.RemoveUser(ctx, "ada", 0) },
			"user removed", ErrRevoked},
		"disabled": {func(ctx context.Context, d *Directory, _ string) error {
			_, err := d.ChangeUser(ctx, "ada", 0, Change{Disabled: &yes})
			return err
		}, "user disabled", ErrRevoked},
		"admin": {func(ctx context.Context, d *Directory, _ string) error {
			_, err := d.ChangeUser(ctx, "ada", 0, Change{Admin: &no})
			return err
		}, "user is no admin any more", ErrRevoked},
		"group left": {func(ctx context.Context, d *Directory, _ string) error {
			_, err := d.ChangeUser(ctx, "ada", 0, Change{Groups: &none})
			return err
		}, "the user's groups changed", ErrRevoked},
		"group joined": {func(ctx context.Context, d *Directory, _ string) error {
			_, err := d.ChangeUser(ctx, "ada", 0, Change{Groups: &more})
			return err
		}, "the user's groups changed", ErrRevoked},
		"group of the file joined": {func(_ context.Context, d *Directory, _ string) error {
			return d.Configure(File{Groups: []FileGroup{{Name: "ops", Members: []string{"ada"}}}})
		}, "the user's groups changed", ErrRevoked},
		"time": {func(context.Context, *Directory, string) error { time.Sleep(DefaultLifetime); return nil },
			"token expired", ErrExpired},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := withUsers(t, "bob")
				addUser(t, d, NewUser{Name: "ada", Groups: []string{"lab"}, Admin: true})
				secret, token := addToken(t, d, NewToken{User: "ada", Scopes: AllScopes()})
				caller := authenticate(t, d, secret)
				ctx, cancel := caller.Context(t.Context())
				defer cancel()
				others, _ := addToken(t, d, NewToken{User: "bob", Lifetime: MaxLifetime})
				other, cancelOther := authenticate(t, d, others).Context(t.Context())
				defer cancelOther()
				if _, err := d.SetPassword(t.Context(), "ada", 0, "another password"); err != nil || ctx.Err() != nil {
					t.Fatalf("a new password: %v, %v", err, context.Cause(ctx))
				}
				if err := c.change(t.Context(), d, token.ID); err != nil {
					t.Fatal(err)
				}
				synctest.Wait()
				cause := context.Cause(ctx)
				if cause == nil || cause.Error() != c.sentence || !errors.Is(cause, c.kind) {
					t.Errorf("the cause is %v", cause)
				}
				late, cancelLate := caller.Context(t.Context())
				defer cancelLate()
				if late.Err() == nil || context.Cause(late).Error() != c.sentence {
					t.Errorf("a context that begins too late: %v", context.Cause(late))
				}
				if other.Err() != nil {
					t.Errorf("another user's context ended: %v", context.Cause(other))
				}
			})
		})
	}
}

func TestContextsAreForgotten(t *testing.T) {
	d := withUsers(t)
	secret, _ := addToken(t, d, NewToken{User: "root"})
	c := authenticate(t, d, secret)
	parent, end := context.WithCancel(t.Context())
	before := runtime.NumGoroutine()
	var cancels []context.CancelFunc
	for range 100 {
		_, cancel := c.Context(parent)
		cancels = append(cancels, cancel)
	}
	if after := runtime.NumGoroutine(); after >= before+100 {
		t.Errorf("%d goroutines became %d", before, after)
	}
	for _, cancel := range cancels[:50] {
		cancel()
		cancel()
	}
	end()
	for gone := false; !gone; runtime.Gosched() {
		d.mu.RLock()
		gone = len(d.live) == 0
		d.mu.RUnlock()
	}
	for _, cancel := range cancels {
		cancel()
	}
}

func TestCallerOfCertificate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := withUsers(t, "ada")
		expires := time.Now().Add(time.Hour)
		c, err := d.CallerOf(Certificate{Kind: "user", Name: "ada", Issued: time.Now(), Expires: expires})
		if err != nil || c.Identity.User != "ada" || c.Identity.Proof != jackfield.ProofCertificate || c.Admin || !c.Has(Connect) ||
			c.Has(Admin) {
			t.Fatalf("got %+v, %v", c, err)
		}
		root, err := d.CallerOf(Certificate{Kind: "user", Name: "root"})
		if err != nil || !root.Admin {
			t.Fatalf("got %+v, %v", root, err)
		}
		ctx, cancel := c.Context(t.Context())
		defer cancel()
		time.Sleep(time.Hour)
		synctest.Wait()
		if cause := context.Cause(ctx); !errors.Is(cause, ErrExpired) || cause.Error() != "certificate expired" {
			t.Errorf("the cause is %v", cause)
		}
		for name, wrong := range map[string]Certificate{
			"agent":        {Kind: "agent", Name: "ada"},
			"nobody":       {Kind: "user", Name: "eve"},
			"no name":      {Kind: "user"},
			"expired":      {Kind: "user", Name: "ada", Expires: expires},
			"earlier user": {Kind: "user", Name: "ada", Issued: expires.Add(-2 * time.Hour)},
		} {
			if c, err := d.CallerOf(wrong); err == nil {
				t.Errorf("%s: got %+v", name, c)
			} else {
				wantKind(t, err, jackfield.Unauthenticated)
			}
		}
	})
}
