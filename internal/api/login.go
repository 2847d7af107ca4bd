package api

import (
	"errors"
	"net/http"
	"time"

	"jackfield"
	"jackfield/internal/identity"
)

func getHealth(c *call) (any, error) {
	select {
	case <-c.server.stopped:
		return Health{"stopping"}, nil
	default:
		return Health{"ok"}, nil
	}
}

func getVersion(c *call) (any, error) { return Version{c.server.Status.Version, "v1"}, nil }

func getStatus(c *call) (any, error) { return c.server.Status, nil }

func login(c *call) (any, error) {
	l, err := decode[Login](c)
	if err != nil {
		return nil, err
	}
	fresh := identity.NewToken{Label: l.Label, Scopes: l.Scopes, Lifetime: time.Duration(l.Lifetime)}
	var secret string
	var token identity.Token
	switch {
	case l.Token != "" && l.User == "" && l.Password == "":
		secret, token, err = c.server.Directory.Exchange(c.ctx, l.Token, fresh)
	case l.Token == "" && l.User != "" && l.Password != "":
		c.aboutKnownUser(l.User)
		secret, token, err = c.server.Directory.Login(c.ctx, l.User, l.Password, c.record.Source.Addr(), fresh)
	default:
		return nil, invalid("a login needs either user and password, or a one-time token")
	}
	if err != nil {
		if jackfield.AsError(err).Kind == jackfield.Unauthenticated {
			c.challenge("", "")
		}
		return nil, err
	}
	c.about("user", token.User)
	if err := c.admitUser(token); err != nil {
		return nil, err
	}
	return Grant{secret, describeToken(token)}, nil
}

// admitUser asks the entrance's rules about somebody who has just logged in; whom they refuse gets no token.
func (c *call) admitUser(token identity.Token) error {
	user, err := c.server.Directory.User(token.User)
	if err == nil {
		c.record.Identity = jackfield.Identity{User: user.Name, Groups: user.Groups, Proof: jackfield.ProofToken}
		if c.entrance.Admit == nil {
			return nil
		}
		err = c.entrance.Admit(c.ctx, c.record.Source, c.record.Local, c.record.Identity)
	}
	if err != nil {
		return errors.Join(err, c.server.Directory.RemoveToken(c.changing(), token.ID))
	}
	return nil
}

// aboutKnownUser tells the audit the name only if it is one: people type passwords where a name belongs.
func (c *call) aboutKnownUser(name string) {
	if user, err := c.server.Directory.User(name); err == nil {
		c.about("user", user.Name)
	}
}

func logout(c *call) (any, error) {
	if c.who.TokenID == "" {
		return nil, refuseWith(http.StatusConflict, jackfield.Invalid, "there is no token to revoke: you were known without one")
	}
	c.about("token", c.who.TokenID)
	return nil, c.server.Directory.RemoveToken(c.changing(), c.who.TokenID)
}

func getMe(c *call) (any, error) {
	return Me{
		User:    c.who.Identity.User,
		Groups:  list(c.who.Identity.Groups),
		Admin:   c.who.Admin,
		Scopes:  list(c.who.Scopes),
		Proof:   string(c.who.Identity.Proof),
		Token:   c.who.TokenID,
		Expires: c.who.Expires,
	}, nil
}

// list makes an empty list [], not null.
func list[T any](items []T) []T {
	if items == nil {
		return []T{}
	}
	return items
}
