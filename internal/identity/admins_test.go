package identity

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"jackfield"
	"jackfield/internal/store"
)

// slow is a store whose changes take a second.
type slow struct{ store.Store }

func (s slow) Update(ctx context.Context, key string, value []byte, revision uint64) (uint64, error) {
	time.Sleep(time.Second)
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	return s.Store.Update(ctx, key, value, revision)
}

func (s slow) Delete(ctx context.Context, key string, revision uint64) error {
	time.Sleep(time.Second)
	if err := ctx.Err(); err != nil {
		return err
	}
	return s.Store.Delete(ctx, key, revision)
}

func demote(ctx context.Context, d *Directory, name string) error {
	no := false
	_, err := d.ChangeUser(ctx, name, 0, Change{Admin: &no})
	return err
}

func disable(ctx context.Context, d *Directory, name string) error {
	yes := true
	_, err := d.ChangeUser(ctx, name, 0, Change{Disabled: &yes})
	return err
}

func remove(ctx context.Context, d *Directory, name string) error { return d.RemoveUser(ctx, name, 0) }

// twoAdmins are ada and bob, in a store that is slow.
func twoAdmins(t *testing.T) *Directory {
	d := open(t, slow{newStore(t)}, Options{})
	addUser(t, d, NewUser{Name: "ada", Admin: true})
	addUser(t, d, NewUser{Name: "bob", Admin: true})
	return d
}

// TestOneOfTwoAdminsStays takes both of them away at the same moment.
func TestOneOfTwoAdminsStays(t *testing.T) {
	type take func(ctx context.Context, d *Directory, name string) error
	for name, takes := range map[string][2]take{
		"demote both":     {demote, demote},
		"disable both":    {disable, disable},
		"remove both":     {remove, remove},
		"demote, remove":  {demote, remove},
		"remove, disable": {remove, disable},
		"disable, demote": {disable, demote},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := twoAdmins(t)
				ada, bob := make(chan error, 1), make(chan error, 1)
				go func() { ada <- takes[0](t.Context(), d, "ada") }()
				go func() { bob <- takes[1](t.Context(), d, "bob") }()
				refusal, other := <-ada, <-bob
				if refusal == nil {
					refusal, other = other, refusal
				}
				if other != nil {
					t.Fatalf("both are refused: %v, %v", refusal, other)
				}
				wantKind(t, refusal, jackfield.Busy)
				if refusal.Error() != errLastAdmin().Error() {
					t.Errorf("got %v", refusal)
				}
				admins := 0
				for _, u := range d.Users() {
					if u.Admin && !u.Disabled {
						admins++
					}
				}
				if admins != 1 {
					t.Errorf("%d admins are left: %+v", admins, d.Users())
				}
			})
		})
	}
}

// TestImpatientCallers has callers who go away: one while the change is made, one before it begins.
func TestImpatientCallers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := twoAdmins(t)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second/2)
		defer cancel()
		first := make(chan error, 1)
		go func() { first <- demote(ctx, d, "ada") }()
		synctest.Wait()
		wantKind(t, demote(ctx, d, "bob"), jackfield.Unavailable)
		if err := <-first; err != nil {
			t.Errorf("a change that had begun: %v", err)
		}
		if u, _ := d.User("ada"); u.Admin {
			t.Error("ada is still an admin")
		}
	})
}

// TestNoAdminIsWarnedOf takes the last admin away as no caller can.
func TestNoAdminIsWarnedOf(t *testing.T) {
	var log journal
	s := newStore(t)
	admin := File{Users: []FileUser{{Name: "fay", Admin: true}}}
	d := open(t, s, Options{Log: log.log(), File: admin})
	configure := func(f File) {
		t.Helper()
		if err := d.Configure(f); err != nil {
			t.Fatal(err)
		}
	}
	want := func(after string, n int) {
		t.Helper()
		if got := strings.Count(log.String(), "no administrator any more: admin.sock is the way in"); got != n {
			t.Errorf("%d warnings after %s, want %d:\n%s", got, after, n, &log)
		}
	}
	configure(admin)
	want("a reload that changes nothing", 0)
	configure(File{})
	want("a file without the admin", 1)
	configure(File{})
	addUser(t, d, NewUser{Name: "bob"})
	want("changes that are about others", 1)
	configure(admin)
	configure(File{Users: []FileUser{{Name: "fay", Admin: true, Disabled: true}}})
	want("a file that disables the admin", 2)

	addUser(t, d, NewUser{Name: "ada", Admin: true})
	configure(File{})
	want("a file without an admin, while the store has one", 2)
	e, err := s.Get(t.Context(), userKey("ada"))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Delete(t.Context(), e.Key, e.Revision); err != nil { // as a restore does
		t.Fatal(err)
	}
	await(t, d, func() bool { return d.users["ada"] == nil })
	want("a restore", 3)
}
