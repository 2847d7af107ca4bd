package api

import (
	"fmt"
	"slices"
	"time"

	"jackfield"
	"jackfield/internal/identity"
)

func describeToken(t identity.Token) Token {
	return Token{
		ID: t.ID, User: t.User, Label: t.Label, Scopes: list(t.Scopes), Created: t.Created, Expires: t.Expires, OneTime: t.OneTime,
	}
}

func listTokens(c *call) (any, error) {
	user := c.who.Identity.User
	if asked := c.query("user"); asked != "" && asked != user {
		if !c.who.Admin {
			return nil, jackfield.Refuse(jackfield.Denied, "only administrators see other users' tokens", nil)
		}
		found, err := c.server.Directory.User(asked)
		if err != nil {
			return nil, err
		}
		user = found.Name
	}
	var tokens []Token
	if user != "" || c.who.Identity.Proof == ProofPeer { // of the latter, all
		for _, t := range c.server.Directory.Tokens(user) {
			tokens = append(tokens, describeToken(t))
		}
	}
	part, next, err := paginate(c, tokens, func(t Token) string { return t.ID })
	return TokenList{part, next}, err
}

// tokenOf returns a token that the caller may know of; for all others, it reads as if there were none.
func (c *call) tokenOf(id string) (identity.Token, error) {
	t, err := c.server.Directory.Token(id)
	if err == nil && !c.who.Admin && !c.owns(t.User) {
		err = notFound("there is no such token")
	}
	return t, err
}

func getToken(c *call) (any, error) {
	t, err := c.tokenOf(c.r.PathValue("id"))
	return describeToken(t), err
}

func deleteToken(c *call) (any, error) {
	t, err := c.tokenOf(c.r.PathValue("id"))
	if err != nil {
		return nil, err
	}
	return nil, c.server.Directory.RemoveToken(c.changing(), t.ID)
}

func addToken(c *call) (any, error) {
	n, err := decode[NewToken](c)
	if err != nil {
		return nil, err
	}
	user := n.User
	if user == "" {
		user = c.who.Identity.User
	}
	switch {
	case user == "":
		return nil, invalid("say whose token it shall be: here the caller is no user")
	case !c.who.Admin && !c.owns(user):
		return nil, jackfield.Refuse(jackfield.Denied, "only administrators make tokens for others", nil)
	}
	scopes, err := c.grantable(n.Scopes)
	if err != nil {
		return nil, err
	}
	secret, t, err := c.server.Directory.AddToken(c.changing(), identity.NewToken{
		User: user, Label: n.Label, Scopes: scopes, Lifetime: time.Duration(n.Lifetime), OneTime: n.OneTime,
	})
	if err != nil {
		return nil, err
	}
	c.about("token", t.ID)
	c.location = Base + "/tokens/" + t.ID
	return Grant{secret, describeToken(t)}, nil
}

// grantable are the scopes of a new token: those that were asked for, which must be among the caller's own; else the usual ones
// that the caller has.
func (c *call) grantable(asked []identity.Scope) ([]identity.Scope, error) {
	for _, s := range asked {
		if slices.Contains(identity.AllScopes(), s) && !c.who.Has(s) {
			return nil, jackfield.Refuse(jackfield.Denied, fmt.Sprintf("your own token has not the scope %q", s), nil)
		}
	}
	if len(asked) > 0 {
		return asked, nil
	}
	var granted []identity.Scope
	for _, s := range []identity.Scope{identity.Read, identity.Write, identity.Connect} {
		if c.who.Has(s) {
			granted = append(granted, s)
		}
	}
	return granted, nil
}
