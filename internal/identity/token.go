package identity

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"jackfield"
	"jackfield/internal/store"
)

// A Token proves who its bearer is. Its secret is shown once, when it is made; what is kept is a hash of it.
type Token struct {
	ID       string // the first 20 hexadecimal digits of the SHA-256 of the secret; safe to log
	User     string
	Label    string
	Scopes   []Scope // sorted; not to be changed
	Created  time.Time
	Expires  time.Time
	OneTime  bool // good for Exchange alone, once
	Revision uint64
}

// A Scope is a part of what the user may do that the bearer of a token may do in the user's place. No scope holds another.
type Scope string

// The scopes.
const (
	Read    Scope = "read"    // see what the user may see: services, stations, sessions, the user's own tokens
	Write   Scope = "write"   // change what the user may change: bookings, own sessions, own tokens
	Connect Scope = "connect" // open streams to services
	Admin   Scope = "admin"   // what admins alone may do; of no effect while the user is not an admin
)

// AllScopes returns every scope there is.
func AllScopes() []Scope { return []Scope{Admin, Connect, Read, Write} }

func defaultScopes() []Scope { return []Scope{Connect, Read, Write} }

// NewToken is what a token is made of. Whoever lets a caller make tokens sees to it that their scopes are among the caller's.
type NewToken struct {
	User     string        // of AddToken alone
	Label    string        // what it is for; at most MaxLabel bytes, printable
	Scopes   []Scope       // none: connect, read and write; at Exchange those of the one-time token
	Lifetime time.Duration // 0: DefaultLifetime, or DefaultOneTimeLifetime
	OneTime  bool          // of AddToken alone
}

// How long tokens live, how many a user has, and how long a label is.
const (
	DefaultLifetime        = 30 * 24 * time.Hour
	MaxLifetime            = 365 * 24 * time.Hour
	DefaultOneTimeLifetime = time.Hour
	FirstTokenLifetime     = 7 * 24 * time.Hour
	MaxOneTimeLifetime     = FirstTokenLifetime

	MaxTokens = 1000
	MaxLabel  = 128 // bytes
)

// completed checks everything that does not depend on the user, and fills in what was left out.
func (n NewToken) completed() (NewToken, error) {
	if !isLabel(n.Label) {
		return n, refuse(jackfield.Invalid, fmt.Sprintf("a label has at most %d bytes, all of them printable", MaxLabel))
	}
	if len(n.Scopes) == 0 {
		n.Scopes = defaultScopes()
	}
	n.Scopes = slices.Compact(slices.Sorted(slices.Values(n.Scopes)))
	for _, s := range n.Scopes {
		if !slices.Contains(AllScopes(), s) {
			return n, refuse(jackfield.Invalid, "a scope is one of read, write, connect and admin")
		}
	}
	usual, longest := DefaultLifetime, MaxLifetime
	if n.OneTime {
		usual, longest = DefaultOneTimeLifetime, MaxOneTimeLifetime
	}
	n.Lifetime = cmp.Or(n.Lifetime, usual)
	if n.Lifetime < time.Second || n.Lifetime > longest {
		return n, refuse(jackfield.Invalid, fmt.Sprintf("such a token lives between one second and %d days", longest/(24*time.Hour)))
	}
	return n, nil
}

func isLabel(s string) bool {
	return len(s) <= MaxLabel && utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) })
}

// Tokens returns a user's tokens, or all if user is empty, the oldest first. Those that have expired are there until they are
// removed, about an hour later or when the user needs room for another one.
func (d *Directory) Tokens(user string) []Token {
	d.mu.RLock()
	defer d.mu.RUnlock()
	list := []Token{}
	for _, t := range d.stored.tokens {
		if d.owns(t) && (user == "" || strings.EqualFold(user, t.User)) {
			list = append(list, t.Token)
		}
	}
	slices.SortFunc(list, func(a, b Token) int { return cmp.Or(a.Created.Compare(b.Created), cmp.Compare(a.ID, b.ID)) })
	return list
}

// Token returns one token; NotFound if there is none with that ID, or it is that of an earlier user of the same name.
func (d *Directory) Token(id string) (Token, error) {
	d.mu.RLock()
	defer d.mu.RUnlock()
	if t := d.stored.tokens[id]; t != nil && d.owns(t) {
		return t.Token, nil
	}
	return Token{}, noSuchToken()
}

// owns says whether the user who has the name in a token is the one that it was made for. The lock is held.
func (d *Directory) owns(t *token) bool {
	u := d.users[t.User]
	return u != nil && u.ID == t.userID
}

// AddToken makes a token. The secret is returned here and nowhere else.
func (d *Directory) AddToken(ctx context.Context, n NewToken) (secret string, t Token, err error) {
	n, err = n.completed()
	if err != nil {
		return "", Token{}, err
	}
	u, err := d.find(n.User)
	if err != nil {
		return "", Token{}, err
	}
	return d.issue(ctx, u, n)
}

// issue makes a token from what is completed.
func (d *Directory) issue(ctx context.Context, u *user, n NewToken) (secret string, t Token, err error) {
	if slices.Contains(n.Scopes, Admin) && !u.Admin {
		return "", Token{}, refuse(jackfield.Denied, "the user is not an admin, so no token of this user has the scope admin")
	}
	if err := d.makeRoom(ctx, u); err != nil {
		return "", Token{}, err
	}
	secret = newSecret()
	t, err = d.createToken(ctx, newTokenRecord(u, n, secret))
	if err != nil {
		return "", Token{}, err
	}
	return secret, t, nil
}

func newTokenRecord(u *user, n NewToken, secret string) *tokenRecord {
	now := time.Now().UTC()
	return &tokenRecord{
		User: u.Name, UserID: u.ID, Hash: hashSecret(secret), Label: n.Label, Scopes: n.Scopes,
		Created: now, Expires: now.Add(n.Lifetime), OneTime: n.OneTime,
	}
}

func (d *Directory) createToken(ctx context.Context, r *tokenRecord) (Token, error) {
	value, err := json.Marshal(r)
	if err != nil {
		return Token{}, err
	}
	revision, err := d.store.Create(ctx, tokenKey(tokenID(r.Hash)), value)
	if err != nil {
		return Token{}, refuseWrite(err, "such a token is there already")
	}
	return r.token(revision).Token, d.settled(ctx, atRevision(revision))
}

// makeRoom sees to it that a user can have one more token. It removes expired ones if that helps, the oldest first.
func (d *Directory) makeRoom(ctx context.Context, u *user) error {
	tokens := d.tokensThat(func(t *token) bool { return t.userID == u.ID })
	surplus := len(tokens) - (MaxTokens - 1)
	if surplus <= 0 {
		return nil
	}
	expired := slices.DeleteFunc(tokens, func(t *token) bool { return time.Now().Before(t.Expires) })
	if len(expired) < surplus {
		return refuse(jackfield.Limited,
			fmt.Sprintf(`the user has %d tokens already: remove some with "jackfield token rm"`, MaxTokens))
	}
	slices.SortFunc(expired, func(a, b *token) int { return a.Created.Compare(b.Created) })
	for _, t := range expired[:surplus] {
		if err := d.deleteToken(ctx, t.Token); err != nil && jackfield.AsError(err).Kind != jackfield.NotFound {
			return err
		}
	}
	return nil
}

// RemoveToken revokes a token: what its bearers do ends at once.
func (d *Directory) RemoveToken(ctx context.Context, id string) error {
	t, err := d.Token(id)
	if err != nil {
		return err
	}
	return d.deleteToken(ctx, t)
}

// deleteToken is NotFound if somebody else removed the token first. Tokens are never changed, so there is no other conflict.
func (d *Directory) deleteToken(ctx context.Context, t Token) error {
	err := d.store.Delete(ctx, tokenKey(t.ID), t.Revision)
	switch {
	case errors.Is(err, store.ErrNotFound), errors.Is(err, store.ErrConflict):
		return jackfield.Refuse(jackfield.NotFound, "there is no such token", err)
	case err != nil:
		return refuseWrite(err, "")
	}
	return d.settled(ctx, func(s *state) bool { return s.tokens[t.ID] == nil })
}

func noSuchToken() error { return refuse(jackfield.NotFound, "there is no such token") }
