package identity

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"jackfield"
)

func TestTokens(t *testing.T) {
	d := withUsers(t, "ada", "bob")
	secret, token := addToken(t, d, NewToken{User: "Ada", Label: "ci", Scopes: []Scope{Write, Read, Read}})
	if token.User != "ada" || token.Label != "ci" || !slices.Equal(token.Scopes, []Scope{Read, Write}) ||
		token.Expires.Sub(token.Created) != DefaultLifetime || token.ID != tokenID(hashSecret(secret)) {
		t.Errorf("got %+v", token)
	}
	_, second := addToken(t, d, NewToken{User: "ada"})
	_, third := addToken(t, d, NewToken{User: "bob", OneTime: true})
	if !slices.Equal(second.Scopes, []Scope{Connect, Read, Write}) || third.Expires.Sub(third.Created) != DefaultOneTimeLifetime {
		t.Errorf("got %+v and %+v", second, third)
	}
	if list := d.Tokens("ada"); len(list) != 2 || list[0].ID != token.ID || list[1].ID != second.ID {
		t.Errorf("got %+v", list)
	}
	if list := d.Tokens(""); len(list) != 3 {
		t.Errorf("got %+v", list)
	}
	if err := d.RemoveToken(t.Context(), token.ID); err != nil {
		t.Fatal(err)
	}
	wantKind(t, d.RemoveToken(t.Context(), token.ID), jackfield.NotFound)
	_, err := d.Token(token.ID)
	wantKind(t, err, jackfield.NotFound)
	_, err = d.Authenticate(secret)
	wantKind(t, err, jackfield.Unauthenticated)
}

func TestTokenRefusals(t *testing.T) {
	d := withUsers(t, "ada")
	for name, c := range map[string]struct {
		token NewToken
		kind  jackfield.Kind
	}{
		"long label":    {NewToken{Label: strings.Repeat("x", MaxLabel+1)}, jackfield.Invalid},
		"control":       {NewToken{Label: "a\x1b[2J"}, jackfield.Invalid},
		"not UTF-8":     {NewToken{Label: "\xff"}, jackfield.Invalid},
		"unknown scope": {NewToken{Scopes: []Scope{"root"}}, jackfield.Invalid},
		"too long":      {NewToken{Lifetime: MaxLifetime + 1}, jackfield.Invalid},
		"negative":      {NewToken{Lifetime: -1}, jackfield.Invalid},
		"long one-time": {NewToken{Lifetime: MaxOneTimeLifetime + 1, OneTime: true}, jackfield.Invalid},
		"no admin":      {NewToken{Scopes: []Scope{Admin}}, jackfield.Denied},
	} {
		c.token.User = "ada"
		_, _, err := d.AddToken(t.Context(), c.token)
		if err == nil {
			t.Errorf("%s: taken", name)
			continue
		}
		wantKind(t, err, c.kind)
	}
	if list := d.Tokens(""); len(list) != 0 {
		t.Errorf("got %+v", list)
	}
}

// TestTokensAreBounded gives a user as many tokens as there can be. Two of them expire, in whose place two logins come.
func TestTokensAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := withUsers(t, "ada", "bob")
		ada, _ := d.find("ada")
		for range MaxTokens - 2 { // which are not counted each time: that takes long
			if _, err := d.createToken(t.Context(), newTokenRecord(ada, NewToken{Lifetime: MaxLifetime}, newSecret())); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(time.Second)
		_, older := addToken(t, d, NewToken{User: "ada", Lifetime: time.Minute})
		time.Sleep(time.Second)
		_, newer := addToken(t, d, NewToken{User: "ada", Lifetime: time.Minute})
		refused := func() {
			t.Helper()
			_, _, err := d.Login(t.Context(), "ada", password, source, NewToken{})
			wantKind(t, err, jackfield.Limited)
			if !strings.Contains(err.Error(), "jackfield token rm") {
				t.Errorf("the refusal does not say what to do: %v", err)
			}
		}
		refused()
		addToken(t, d, NewToken{User: "bob"})
		time.Sleep(2 * time.Minute)
		for _, gone := range []Token{older, newer} {
			if _, err := d.Token(gone.ID); err != nil {
				t.Errorf("the expired token was removed before its turn: %v", err)
			}
			secret, _, err := d.Login(t.Context(), "ada", password, source, NewToken{})
			if err != nil {
				t.Fatal(err)
			}
			authenticate(t, d, secret)
			_, err = d.Token(gone.ID)
			wantKind(t, err, jackfield.NotFound)
		}
		refused()
		if n := len(d.Tokens("ada")); n != MaxTokens {
			t.Errorf("ada has %d tokens", n)
		}
	})
}

// TestEarlierUsersTokensAreNotThere interrupts a removal before the user's token goes, and makes a user of the same name.
func TestEarlierUsersTokensAreNotThere(t *testing.T) {
	s := newCuttable(newStore(t))
	d := open(t, s, Options{})
	addUser(t, d, NewUser{Name: "ada"})
	_, token := addToken(t, d, NewToken{User: "ada"})
	s.allow(1)
	if err := d.RemoveUser(t.Context(), "ada", 0); err != nil {
		t.Fatal(err)
	}
	s.allow(-1)
	notThere := func(whose string) {
		t.Helper()
		if d.stored.tokens[token.ID] == nil {
			t.Fatal("the token is gone already")
		}
		_, err := d.Token(token.ID)
		wantKind(t, err, jackfield.NotFound)
		wantKind(t, d.RemoveToken(t.Context(), token.ID), jackfield.NotFound)
		if list := d.Tokens(""); len(list) != 0 {
			t.Errorf("%s: got %+v", whose, list)
		}
	}
	notThere("nobody")
	addUser(t, d, NewUser{Name: "ada"})
	notThere("a later user")
	if err := d.Configure(File{Users: []FileUser{{Name: "ada"}}}); err != nil {
		t.Fatal(err)
	}
	notThere("a user of the file")
}

func TestTokensExpire(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := withUsers(t, "ada")
		secret, token := addToken(t, d, NewToken{User: "ada", Lifetime: time.Hour})
		time.Sleep(time.Hour - time.Nanosecond)
		authenticate(t, d, secret)
		time.Sleep(time.Nanosecond)
		_, err := d.Authenticate(secret)
		wantKind(t, err, jackfield.Unauthenticated)
		if !errors.Is(err, ErrExpired) || jackfield.AsError(err).Message != "token expired" {
			t.Errorf("got %v", err)
		}
		time.Sleep(2 * time.Hour)
		synctest.Wait()
		if _, err := d.Token(token.ID); err == nil {
			t.Error("the expired token is there after hours")
		}
	})
}
