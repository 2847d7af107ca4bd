package identity

import (
	"crypto/subtle"
	"errors"
	"slices"
	"time"

	"jackfield"
)

// A Caller is somebody who has proven who they are. Its fields are as they were at that moment, and not to be changed.
type Caller struct {
	Identity jackfield.Identity
	Admin    bool // the user is an admin, and the token has the scope
	Scopes   []Scope
	TokenID  string    // empty: proven by a certificate
	Expires  time.Time // of the token or certificate

	directory *Directory
	userID    string
}

// Has says whether the caller may do what the scope is for.
func (c *Caller) Has(s Scope) bool { return slices.Contains(c.Scopes, s) }

// A Certificate is what a client certificate says of its owner. Whether it is valid and not revoked is for others to say.
type Certificate struct {
	Kind    string // "user"; no other kind is a person's
	Name    string
	Issued  time.Time // zero: not known. One issued before the user was made is that of an earlier user of the same name
	Expires time.Time // zero: not known
}

// Why the context of a caller ended; its cause wraps one of them and reads "token revoked", "token expired", "user removed",
// "user disabled", "user is no admin any more" or "the user's groups changed".
var (
	ErrRevoked = errors.New("revoked")
	ErrExpired = errors.New("expired")
)

// An ending is why a caller is none any more. Its sentence is for people, its kind for programs.
type ending struct {
	sentence string
	kind     error
}

func (e *ending) Error() string { return e.sentence }

// Unwrap returns ErrRevoked or ErrExpired.
func (e *ending) Unwrap() error { return e.kind }

var (
	tokenRevoked       = &ending{"token revoked", ErrRevoked}
	tokenExpired       = &ending{"token expired", ErrExpired}
	certificateExpired = &ending{"certificate expired", ErrExpired}
	userRemoved        = &ending{"user removed", ErrRevoked}
	userDisabled       = &ending{"user disabled", ErrRevoked}
	adminNoMore        = &ending{"user is no admin any more", ErrRevoked}
	groupsChanged      = &ending{"the user's groups changed", ErrRevoked}
)

// Authenticate returns the bearer of a token. It asks nobody; see the package's rules for what holds while the store is away.
// Refusals are Unauthenticated. It is as quick for wrong tokens as for right ones, and needs no limit: a token cannot be guessed.
func (d *Directory) Authenticate(secret string) (*Caller, error) {
	d.mu.RLock()
	defer d.mu.RUnlock()
	t, u, err := d.bearer(secret)
	if err != nil {
		return nil, err
	}
	if t.OneTime {
		return nil, refuse(jackfield.Unauthenticated, "a one-time token is good for a login only")
	}
	c := d.caller(u, jackfield.ProofToken, t.Scopes)
	c.TokenID, c.Expires = t.ID, t.Expires
	return c, nil
}

// bearer finds a token that is in force, and its user. The lock is held.
func (d *Directory) bearer(secret string) (*token, *user, error) {
	if err := checkSecret(secret); err != nil {
		return nil, nil, err
	}
	hash := hashSecret(secret)
	t := d.stored.tokens[tokenID(hash)]
	if t == nil || subtle.ConstantTimeCompare([]byte(t.hash), []byte(hash)) != 1 {
		return nil, nil, refuse(jackfield.Unauthenticated, "the token is not known here: it was revoked, used, or expired long ago")
	}
	u, why := d.standing(t.User, t.userID)
	if why == nil && !time.Now().Before(t.Expires) {
		why = tokenExpired
	}
	if why != nil {
		return nil, nil, jackfield.Refuse(jackfield.Unauthenticated, why.sentence, why)
	}
	return t, u, nil
}

// standing returns the user that has the name and the ID, or why there is none. The lock is held.
func (d *Directory) standing(name, id string) (*user, *ending) {
	u := d.users[name]
	switch {
	case u == nil || u.ID != id:
		return nil, userRemoved
	case u.Disabled:
		return nil, userDisabled
	}
	return u, nil
}

// CallerOf returns the owner of a client certificate, with every scope that the user can have. Refusals are Unauthenticated.
func (d *Directory) CallerOf(c Certificate) (*Caller, error) {
	if c.Kind != "user" {
		return nil, refuse(jackfield.Unauthenticated, "the certificate is not that of a user")
	}
	name, err := ParseName(c.Name)
	if err != nil {
		return nil, refuse(jackfield.Unauthenticated, "the name in the certificate is not that of a user")
	}
	d.mu.RLock()
	defer d.mu.RUnlock()
	u, why := d.owner(name, c)
	if why != nil {
		return nil, jackfield.Refuse(jackfield.Unauthenticated, why.sentence, why)
	}
	caller := d.caller(u, jackfield.ProofCertificate, AllScopes())
	caller.Expires = c.Expires
	return caller, nil
}

// clockSlack is how far apart the clocks of nodes may be.
const clockSlack = time.Minute

// owner returns the user whose the certificate is, or why there is none. The lock is held.
func (d *Directory) owner(name string, c Certificate) (*user, *ending) {
	u := d.users[name]
	switch {
	case u == nil || !c.Issued.IsZero() && c.Issued.Add(clockSlack).Before(u.Created):
		return nil, userRemoved
	case !c.Expires.IsZero() && !time.Now().Before(c.Expires):
		return nil, certificateExpired
	}
	return d.standing(name, u.ID)
}

func (d *Directory) caller(u *user, proof jackfield.Proof, scopes []Scope) *Caller {
	if !u.Admin {
		scopes = slices.DeleteFunc(slices.Clone(scopes), func(s Scope) bool { return s == Admin })
	}
	return &Caller{
		Identity:  jackfield.Identity{User: u.Name, Groups: u.Groups, Proof: proof},
		Admin:     slices.Contains(scopes, Admin),
		Scopes:    scopes,
		directory: d,
		userID:    u.ID,
	}
}

// ending says why the caller is none any more; nil if it still is one. The lock is held. Expiry is for the context's own deadline.
func (d *Directory) ending(c *Caller) *ending {
	u, why := d.standing(c.Identity.User, c.userID)
	switch {
	case why != nil:
		return why
	case c.TokenID != "" && d.stored.tokens[c.TokenID] == nil:
		return tokenRevoked
	case c.Admin && !u.Admin:
		return adminNoMore
	case !slices.Equal(c.Identity.Groups, u.Groups): // a rule may deny what a group may do, so joining one counts as well
		return groupsChanged
	}
	return nil
}
