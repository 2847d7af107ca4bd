package identity

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

// TestNoSecretIsTold does everything with a log at debug level, and looks for every secret in it, in errors and in printed values.
func TestNoSecretIsTold(t *testing.T) {
	path := firstPath(t)
	var log journal
	s := newCuttable(newStore(t))
	hash := hashPassword("of the file user", cheap)
	d := open(t, s, Options{
		Log: log.log(), FirstTokenPath: path, File: File{Users: []FileUser{{Name: "fay", Password: hash}}},
	})
	secrets := []string{"of the file user", hash.PHC(), readSecret(t, path), password, "wrong horse", "another password"}
	var told []string
	tell := func(secret string, token Token, err error) {
		if secret != "" {
			secrets = append(secrets, secret, hashSecret(secret))
		}
		told = append(told, fmt.Sprintf("%+v %v %#v", token, err, errors.Unwrap(err)))
	}
	tell(d.Exchange(t.Context(), secrets[2], NewToken{}))
	addUser(t, d, NewUser{Name: "ada"})
	tell(d.Login(t.Context(), "ada", password, source, NewToken{}))
	tell(d.Login(t.Context(), "ada", "wrong horse", source, NewToken{}))
	tell(d.Login(t.Context(), "wrong horse", password, source, NewToken{}))
	tell(d.AddToken(t.Context(), NewToken{User: "ada"}))
	oneTime, token, err := d.AddToken(t.Context(), NewToken{User: "ada", OneTime: true})
	tell(oneTime, token, err)
	tell(d.Exchange(t.Context(), oneTime, NewToken{}))
	tell(d.Exchange(t.Context(), oneTime, NewToken{}))
	tell(d.Exchange(t.Context(), oneTime[:50], NewToken{}))
	for _, secret := range secrets {
		c, err := d.Authenticate(secret)
		told = append(told, fmt.Sprintf("%v", err))
		if c != nil {
			told = append(told, fmt.Sprintf("%+v", c.Identity), c.TokenID)
		}
	}
	s.set(true)
	tell(d.Login(t.Context(), "ada", password, source, NewToken{}))
	_, err = d.SetPassword(t.Context(), "ada", 0, "another password")
	told = append(told, err.Error())
	s.set(false)
	if err := d.RemoveUser(t.Context(), "ada", 0); err != nil {
		t.Fatal(err)
	}
	told = append(told, fmt.Sprintf("%+v %+v", d.Users(), d.Tokens("")), log.String())
	for _, text := range told {
		for _, secret := range secrets {
			if strings.Contains(text, strings.TrimPrefix(secret, SecretPrefix)) {
				t.Errorf("%q is in %q", secret, text)
			}
		}
	}
	if len(secrets) < 14 || !strings.Contains(log.String(), path) {
		t.Errorf("%d secrets, and the log\n%s", len(secrets), &log)
	}
}
