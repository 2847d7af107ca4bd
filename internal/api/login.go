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
		if caller, err := c.server.Directory.Authenticate(l.Token); err == nil {
			return c.keepToken(l, caller)
		}
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
		err = c.admit(jackfield.Identity{User: user.Name, Groups: user.Groups, Proof: jackfield.ProofToken})
	}
	if err != nil {
		return errors.Join(err, c.server.Directory.RemoveToken(c.changing(), token.ID))
	}
	return nil
}

// keepToken answers a login by a token that is no one-time token: there is nothing to exchange, and nothing to refuse.
func (c *call) keepToken(l Login, caller *identity.Caller) (any, error) {
	c.about("user", caller.Identity.User)
	c.record.Token = caller.TokenID
	if err := c.admit(caller.Identity); err != nil {
		return nil, err
	}
	if len(l.Scopes) > 0 || l.Lifetime != 0 {
		return nil, invalid("scopes and lifetime are of a new token, and this one is no one-time token: it stays as it is")
	}
	token, err := c.server.Directory.Token(caller.TokenID)
	if err != nil {
		return nil, err
	}
	return Grant{l.Token, describeToken(token)}, nil
}

// admit asks the entrance's rules about somebody who has proven who they are.
func (c *call) admit(who jackfield.Identity) error {
	c.record.Identity = who
	if c.entrance.Admit == nil {
		return nil
	}
	return c.entrance.Admit(c.ctx, c.record.Source, c.record.Local, who)
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
