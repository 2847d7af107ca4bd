package identity

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"jackfield"
)

func TestFileUsersLogIn(t *testing.T) {
	d := open(t, newStore(t), Options{File: File{Users: []FileUser{
		{Name: "Fay", Groups: []string{"ops"}, Admin: true, Password: hashPassword(password, cheap)},
	}}})
	secret, token, err := d.Login(t.Context(), "fay", password, source, NewToken{Scopes: []Scope{Admin}})
	if err != nil || token.User != "fay" {
		t.Fatalf("got %+v, %v", token, err)
	}
	c := authenticate(t, d, secret)
	if !c.Admin || !slices.Equal(c.Identity.Groups, []string{"ops"}) {
		t.Errorf("got %+v", c)
	}
	ctx, cancel := c.Context(t.Context())
	defer cancel()
	if err := d.Configure(File{}); err != nil {
		t.Fatal(err)
	}
	<-ctx.Done()
	if _, err := d.Authenticate(secret); err == nil {
		t.Error("the token of a user who left the file is good")
	}
	if err := d.Configure(File{Users: []FileUser{{Name: "fay", Password: hashPassword("another one", cheap)}}}); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Authenticate(secret); err == nil {
		t.Error("a later user of the same name has the earlier one's token")
	}
}

func TestFileWinsOverStore(t *testing.T) {
	d := withUsers(t, "ada")
	secret, _ := addToken(t, d, NewToken{User: "ada"})
	c := authenticate(t, d, secret)
	ctx, cancel := c.Context(t.Context())
	defer cancel()
	if err := d.Configure(File{Users: []FileUser{{Name: "ada"}}}); err != nil {
		t.Fatal(err)
	}
	<-ctx.Done()
	if u, err := d.User("ada"); err != nil || u.Source != FromFile || u.Revision != 0 {
		t.Errorf("got %+v, %v", u, err)
	}
	if _, err := d.Authenticate(secret); !errors.Is(err, ErrRevoked) {
		t.Errorf("the hidden user's token: %v", err)
	}
	yes := true
	_, addErr := d.AddUser(t.Context(), NewUser{Name: "ada"}, "")
	_, changeErr := d.ChangeUser(t.Context(), "ada", 0, Change{Admin: &yes})
	_, passwordErr := d.SetPassword(t.Context(), "ada", 0, password)
	for _, err := range []error{addErr, changeErr, passwordErr, d.RemoveUser(t.Context(), "ada", 0)} {
		wantKind(t, err, jackfield.Busy)
		if !strings.Contains(err.Error(), "configuration file") {
			t.Errorf("got %q", err)
		}
	}
	if err := d.Configure(File{}); err != nil {
		t.Fatal(err)
	}
	authenticate(t, d, secret)
}

func TestFileSaysWhoIsInItsGroups(t *testing.T) {
	d := withUsers(t)
	addUser(t, d, NewUser{Name: "ada", Groups: []string{"lab", "ops"}})
	if err := d.Configure(File{Groups: []FileGroup{{Name: "ops"}, {Name: "wheel", Members: []string{"ADA"}}}}); err != nil {
		t.Fatal(err)
	}
	u, _ := d.User("ada")
	if !slices.Equal(u.Groups, []string{"lab", "wheel"}) {
		t.Errorf("got %q", u.Groups)
	}
	wanted := []string{"ops"}
	_, err := d.ChangeUser(t.Context(), "ada", 0, Change{Groups: &wanted})
	wantKind(t, err, jackfield.Busy)
	for _, leaving := range [][]string{{"lab"}, {}, {"wheels"}} {
		_, err = d.ChangeUser(t.Context(), "ada", 0, Change{Groups: &leaving})
		wantKind(t, err, jackfield.Busy)
		if !strings.HasPrefix(err.Error(), "the configuration file says who is in the group wheel") {
			t.Errorf("leaving a group of the file for %q: %v", leaving, err)
		}
	}
	wanted = []string{"lab", "WHEEL", "new"} // all that she is in, and one more
	u, err = d.ChangeUser(t.Context(), "ada", u.Revision, Change{Groups: &wanted})
	if err != nil || !slices.Equal(u.Groups, []string{"lab", "new", "wheel"}) {
		t.Errorf("got %q, %v", u.Groups, err)
	}
	if err := d.Configure(File{}); err != nil {
		t.Fatal(err)
	}
	if u, _ = d.User("ada"); !slices.Equal(u.Groups, []string{"lab", "new"}) {
		t.Errorf("the file's group was stored: %q", u.Groups)
	}
}

func TestWrongFileChangesNothing(t *testing.T) {
	many := make([]string, MaxGroups+1)
	for i := range many {
		many[i] = fmt.Sprint("g", i)
	}
	d := withUsers(t)
	for name, f := range map[string]File{
		"bad user":    {Users: []FileUser{{Name: "a b"}}},
		"bad group":   {Groups: []FileGroup{{Name: ""}}},
		"bad member":  {Groups: []FileGroup{{Name: "g", Members: []string{"*"}}}},
		"user twice":  {Users: []FileUser{{Name: "a"}, {Name: "A"}}},
		"group twice": {Groups: []FileGroup{{Name: "a"}, {Name: "A"}}},
		"many groups": {Users: []FileUser{{Name: "a", Groups: many}}},
	} {
		t.Run(name, func(t *testing.T) {
			f.Users = append(f.Users, FileUser{Name: "fay"})
			wantKind(t, f.Check(), jackfield.Invalid)
			wantKind(t, d.Configure(f), jackfield.Invalid)
			if _, err := d.User("fay"); err == nil {
				t.Error("a part of it was taken over")
			}
			_, err := Open(t.Context(), newStore(t), Options{File: f})
			wantKind(t, err, jackfield.Invalid)
		})
	}
}
