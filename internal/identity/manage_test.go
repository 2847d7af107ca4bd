package identity

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"jackfield"
	"jackfield/internal/store"
)

func TestParseName(t *testing.T) {
	for in, want := range map[string]string{
		"ada": "ada", "Ada.Lovelace@Example.ORG": "ada.lovelace@example.org", "7": "7", "a_b-c": "a_b-c",
		strings.Repeat("a", 64): strings.Repeat("a", 64),
	} {
		if got, err := ParseName(in); got != want || err != nil {
			t.Errorf("ParseName(%q) = %q, %v", in, got, err)
		}
	}
	for _, in := range []string{
		"", strings.Repeat("a", 65), "-rf", ".a", "@a", "_a", "a b", "a/b", "a*", "ä", "a\x00", "a\n", "\u212a",
	} {
		_, err := ParseName(in)
		wantKind(t, err, jackfield.Invalid)
		if len(in) > 1 && strings.Contains(err.Error(), in) {
			t.Errorf("the error repeats %q", in)
		}
	}
}

func TestKeysAreNames(t *testing.T) {
	name := rapid.StringMatching(`[a-z0-9][a-z0-9._@-]{0,63}`)
	rapid.Check(t, func(t *rapid.T) {
		a, b := name.Draw(t, "a"), name.Draw(t, "b")
		if err := store.CheckKey(userKey(a)); err != nil {
			t.Fatal(err)
		}
		if (a == b) != (userKey(a) == userKey(b)) {
			t.Fatalf("%q and %q have the keys %q and %q", a, b, userKey(a), userKey(b))
		}
		if got, err := userName(userKey(a)); got != a || err != nil {
			t.Fatalf("%q became %q, %v", a, got, err)
		}
	})
}

func TestUsers(t *testing.T) {
	d := withUsers(t)
	u := addUser(t, d, NewUser{Name: "Ada", Groups: []string{"ops", "lab", "OPS"}})
	if u.Name != "ada" || !slices.Equal(u.Groups, []string{"lab", "ops"}) || u.Admin || !u.HasPassword || u.Source != FromStore ||
		u.ID == "" || u.Revision == 0 || u.Created.IsZero() {
		t.Errorf("got %+v", u)
	}
	groups, yes := []string{"lab"}, true
	changed, err := d.ChangeUser(t.Context(), "ADA", u.Revision, Change{Groups: &groups, Admin: &yes})
	if err != nil || !changed.Admin || !slices.Equal(changed.Groups, groups) || changed.Revision <= u.Revision || changed.ID != u.ID {
		t.Errorf("got %+v, %v", changed, err)
	}
	if got, err := d.User("ada"); err != nil || got.Revision != changed.Revision {
		t.Errorf("got %+v, %v", got, err)
	}
	if err := d.RemoveUser(t.Context(), "ada", changed.Revision); err != nil {
		t.Fatal(err)
	}
	if list := d.Users(); len(list) != 1 || list[0].Name != "root" {
		t.Errorf("got %+v", list)
	}
}

func TestUserRefusals(t *testing.T) {
	d := withUsers(t, "ada")
	ada, _ := d.User("ada")
	stale := ada.Revision - 1
	no, yes := false, true
	many := make([]string, MaxGroups+1)
	type call func(context.Context) error
	add := func(n NewUser, password string) call {
		return func(ctx context.Context) error { _, err := d.AddUser(ctx, n, password); return err }
	}
	change := func(name string, revision uint64, c Change) call {
		return func(ctx context.Context) error { _, err := d.ChangeUser(ctx, name, revision, c); return err }
	}
	remove := func(name string, revision uint64) call {
		return func(ctx context.Context) error { return d.RemoveUser(ctx, name, revision) }
	}
	setPassword := func(ctx context.Context) error { _, err := d.SetPassword(ctx, "ada", stale, password); return err }
	addToken := func(ctx context.Context) error { _, _, err := d.AddToken(ctx, NewToken{User: "eve"}); return err }
	tooLate := func(ctx context.Context) error {
		ctx, end := context.WithCancel(ctx)
		end()
		return d.RemoveUser(ctx, "ada", 0)
	}
	for name, c := range map[string]struct {
		do      call
		kind    jackfield.Kind
		wrapped error
	}{
		"taken":           {add(NewUser{Name: "ADA"}, ""), jackfield.Busy, store.ErrExists},
		"bad name":        {add(NewUser{Name: "a b"}, ""), jackfield.Invalid, nil},
		"bad group":       {add(NewUser{Name: "b", Groups: []string{"*"}}, ""), jackfield.Invalid, nil},
		"many groups":     {add(NewUser{Name: "b", Groups: many}, ""), jackfield.Invalid, nil},
		"short password":  {add(NewUser{Name: "b"}, "1234567"), jackfield.Invalid, nil},
		"stale change":    {change("ada", stale, Change{Admin: &yes}), jackfield.Busy, store.ErrConflict},
		"stale password":  {setPassword, jackfield.Busy, store.ErrConflict},
		"stale removal":   {remove("ada", stale), jackfield.Busy, store.ErrConflict},
		"nobody changed":  {change("eve", 0, Change{}), jackfield.NotFound, nil},
		"nobody removed":  {remove("eve", 0), jackfield.NotFound, nil},
		"nobody's token":  {addToken, jackfield.NotFound, nil},
		"last demoted":    {change("root", 0, Change{Admin: &no}), jackfield.Busy, nil},
		"last disabled":   {change("root", 0, Change{Disabled: &yes}), jackfield.Busy, nil},
		"last removed":    {remove("root", 0), jackfield.Busy, nil},
		"context is over": {tooLate, jackfield.Unavailable, nil},
	} {
		t.Run(name, func(t *testing.T) {
			err := c.do(t.Context())
			wantKind(t, err, c.kind)
			if c.wrapped != nil && !errors.Is(err, c.wrapped) {
				t.Errorf("%v does not wrap %v", err, c.wrapped)
			}
		})
	}
	if got, _ := d.User("ada"); got.Revision != ada.Revision {
		t.Error("a refused change was made")
	}
}

func TestChangesOfAnyRevisionAllCount(t *testing.T) {
	d := withUsers(t, "ada")
	const writers = 4
	errs := make(chan error, writers)
	for range writers {
		go func() {
			_, err := d.edit(t.Context(), "ada", 0, func(r *userRecord) error {
				r.Groups = append(r.Groups, "g")
				return nil
			})
			errs <- err
		}()
	}
	for range writers {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
	if n := len(d.stored.users["ada"].Groups); n != writers {
		t.Errorf("%d changes were made", n)
	}
}

func TestGroups(t *testing.T) {
	d := open(t, newStore(t), Options{File: File{
		Users:  []FileUser{{Name: "fay", Groups: []string{"lab", "ops"}}},
		Groups: []FileGroup{{Name: "ops", Members: []string{"ada", "kerberos@example.org"}}, {Name: "empty"}},
	}})
	addUser(t, d, NewUser{Name: "ada", Groups: []string{"lab"}})
	var got []string
	for _, g := range d.Groups() {
		got = append(got, g.Name+" "+string(g.Source)+": "+strings.Join(g.Members, ","))
	}
	want := []string{"empty file: ", "lab store: ada,fay", "ops file: ada,fay,kerberos@example.org"}
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}
