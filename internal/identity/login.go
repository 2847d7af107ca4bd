package identity

import (
	"context"
	"errors"
	"net/netip"
	"slices"

	"jackfield"
)

// Login gives a token for a password. The source is the address that it came from.
//
// A wrong password, a user who is not there, is disabled or has no password: all of them are answered in the same words, after the
// same computation (but a hash from the configuration file has the costs that it was made with). Limited refusals come at once and
// without any: too soon after wrong passwords of this user from this source, or of this source; another login from this source is
// being checked; or as many as are allowed at once.
func (d *Directory) Login(ctx context.Context, name, password string, source netip.Addr, n NewToken) (
	secret string, t Token, err error,
) {
	if n.OneTime {
		return "", Token{}, refuse(jackfield.Invalid, "a login does not give a one-time token")
	}
	n, err = n.completed()
	if err != nil {
		return "", Token{}, err
	}
	u, err := d.checkLogin(ctx, name, password, source)
	if err != nil {
		return "", Token{}, err
	}
	return d.issue(ctx, u, n)
}

func (d *Directory) checkLogin(ctx context.Context, name, password string, source netip.Addr) (*user, error) {
	name, err := ParseName(name)
	if err != nil {
		name = "" // one name for all that cannot be one
	}
	u, _ := d.find(name)
	end, err := d.throttle.begin(name, source)
	if err != nil {
		return nil, err
	}
	why := d.tryPassword(u, password)
	renewed := ""
	if why == nil && u.Source == FromStore && u.password.costs != d.costs {
		renewed = hashPassword(password, d.costs).PHC()
	}
	end(why == nil)
	if why != nil {
		return nil, jackfield.Refuse(jackfield.Unauthenticated, "the user name or the password is wrong", why)
	}
	if renewed != "" {
		d.renewHash(ctx, u, renewed)
	}
	return u, nil
}

// Why a login failed, for the log.
var (
	errNoUser        = errors.New("there is no such user")
	errNoPassword    = errors.New("the user has no password")
	errDisabled      = errors.New("the user is disabled")
	errWrongPassword = errors.New("wrong password")
)

// tryPassword costs the same whatever its outcome. The user may be nil.
func (d *Directory) tryPassword(u *user, password string) error {
	hash := d.nobody
	if u != nil && u.HasPassword {
		hash = u.password
	}
	fits := hash.fits(password)
	switch {
	case u == nil:
		return errNoUser
	case !u.HasPassword:
		return errNoPassword
	case !fits:
		return errWrongPassword
	case u.Disabled:
		return errDisabled
	}
	return nil
}

// renewHash replaces a hash that was made at other costs than today's. It may fail: then the next login tries again.
func (d *Directory) renewHash(ctx context.Context, u *user, hash string) {
	_, err := d.edit(ctx, u.Name, u.Revision, func(r *userRecord) error {
		r.Password = hash
		return nil
	})
	if err != nil {
		d.log.Info("the new hash of a password could not be stored", "user", u.Name, "error", err)
	}
}

var errUsed = errors.New("another exchange was first")

// Exchange gives a token for a one-time token. Of several exchanges of the same one-time token, one succeeds.
//
// The new token is made first, and its secret given out only to the one who then removes the one-time token. So an interruption
// may leave a token that nobody knows, and never takes the one-time token without a way back.
func (d *Directory) Exchange(ctx context.Context, oneTimeSecret string, n NewToken) (secret string, t Token, err error) {
	d.mu.RLock()
	used, u, err := d.bearer(oneTimeSecret)
	d.mu.RUnlock()
	switch {
	case err != nil:
		return "", Token{}, err
	case !used.OneTime || n.OneTime:
		return "", Token{}, refuse(jackfield.Invalid, "an exchange takes a one-time token and gives one that is not")
	case used.first && !u.first:
		return "", Token{}, usedAlready(errUsed)
	}
	if len(n.Scopes) == 0 {
		n.Scopes = used.Scopes
	}
	n, err = n.completed()
	if err != nil {
		return "", Token{}, err
	}
	for _, s := range n.Scopes {
		if !slices.Contains(used.Scopes, s) {
			return "", Token{}, refuse(jackfield.Denied, "the one-time token does not have all these scopes")
		}
	}
	secret, t, err = d.issue(ctx, u, n)
	if err != nil {
		return "", Token{}, err
	}
	if err := d.use(ctx, used); err != nil && !errors.Is(err, errUnheard) {
		d.discard(ctx, t)
		return "", Token{}, err
	}
	d.dropFirstToken()
	return secret, t, nil
}

// use takes a one-time token out of the world. Of several calls one succeeds: without an error, or with errUnheard.
func (d *Directory) use(ctx context.Context, t *token) error {
	if t.first {
		if err := d.endFirst(ctx, t); err != nil {
			return err
		}
		d.discard(ctx, t.Token) // it is void already
		return nil
	}
	err := d.deleteToken(ctx, t.Token)
	if err != nil && jackfield.AsError(err).Kind == jackfield.NotFound {
		return usedAlready(err)
	}
	return err
}

// endFirst notes that the first admin has logged in. All first tokens, of which each node may have made one, are void with it.
func (d *Directory) endFirst(ctx context.Context, t *token) error {
	_, err := d.edit(ctx, t.User, 0, func(r *userRecord) error {
		if !r.First || r.ID != t.userID {
			return usedAlready(errUsed)
		}
		r.First = false
		return nil
	})
	return err
}

func usedAlready(details error) error {
	return jackfield.Refuse(jackfield.Unauthenticated, "the one-time token was used already", details)
}

// discard removes a token that is of no use any more. If it fails, sweep removes it.
func (d *Directory) discard(ctx context.Context, t Token) {
	if err := d.deleteToken(context.WithoutCancel(ctx), t); err != nil {
		d.log.Debug("a token that is of no use stays for a while", "token", t.ID, "error", err)
	}
}
