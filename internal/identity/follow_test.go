package identity

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"jackfield"
	"jackfield/internal/store"
)

// TestOtherNodesHear makes changes on one node and looks at their effect on another.
func TestOtherNodesHear(t *testing.T) {
	s := newStore(t)
	here, there := open(t, s, Options{}), open(t, s, Options{})
	addUser(t, here, NewUser{Name: "ada"})
	secret, token := addToken(t, here, NewToken{User: "ada"})
	await(t, there, func() bool { return there.stored.tokens[token.ID] != nil })
	ctx, cancel := authenticate(t, there, secret).Context(t.Context())
	defer cancel()
	if err := here.RemoveToken(t.Context(), token.ID); err != nil {
		t.Fatal(err)
	}
	<-ctx.Done()
	if cause := context.Cause(ctx); !errors.Is(cause, ErrRevoked) {
		t.Errorf("the cause is %v", cause)
	}
}

// TestStoreAway cuts one node off from the store. What was revoked meanwhile ends when the store is back, within a second.
func TestStoreAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore(t)
		way := newCuttable(s)
		var log journal
		here, there := open(t, s, Options{}), open(t, way, Options{Log: log.log()})
		for _, name := range []string{"ada", "bob", "eve"} {
			addUser(t, here, NewUser{Name: name})
		}
		kept, _ := addToken(t, here, NewToken{User: "ada"})
		revoked, token := addToken(t, here, NewToken{User: "ada"})
		removed, _ := addToken(t, here, NewToken{User: "eve"})
		synctest.Wait()
		ctx, cancel := authenticate(t, there, revoked).Context(t.Context())
		defer cancel()

		way.set(true)
		synctest.Wait()
		if err := here.RemoveToken(t.Context(), token.ID); err != nil {
			t.Fatal(err)
		}
		if err := here.RemoveUser(t.Context(), "eve", 0); err != nil {
			t.Fatal(err)
		}
		added, _ := addToken(t, here, NewToken{User: "bob"})
		events := there.Watch(t.Context())
		time.Sleep(30 * time.Second)
		for _, secret := range []string{kept, revoked, removed} {
			authenticate(t, there, secret) // from memory: the bound that the package comment tells of
		}
		_, _, err := there.AddToken(t.Context(), NewToken{User: "ada"})
		wantKind(t, err, jackfield.Unavailable)
		_, _, err = there.Login(t.Context(), "ada", password, source, NewToken{})
		wantKind(t, err, jackfield.Unavailable)
		wantKind(t, there.RemoveUser(t.Context(), "ada", 0), jackfield.Unavailable)
		if n := strings.Count(log.String(), "cannot be followed"); n != 1 {
			t.Errorf("the log says %d times that the store is away", n)
		}

		way.set(false)
		time.Sleep(longestPause)
		synctest.Wait()
		if ctx.Err() == nil {
			t.Error("the context of a caller who was revoked goes on")
		}
		for secret, good := range map[string]bool{kept: true, added: true, revoked: false, removed: false} {
			if _, err := there.Authenticate(secret); (err == nil) != good {
				t.Errorf("got %v", err)
			}
		}
		var kinds []string
		for range 4 {
			kinds = append(kinds, string((<-events).Kind))
		}
		if got := strings.Join(kinds, " "); !strings.HasPrefix(got, "user.removed") || strings.Count(got, "token.removed") != 2 ||
			strings.Count(got, "token.added") != 1 {
			t.Errorf("the events were %s", got)
		}
		if n := strings.Count(log.String(), "followed in the store again"); n != 1 {
			t.Errorf("the log says %d times that the store is back", n)
		}
	})
}

func TestOpenWithoutStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		way := newCuttable(newStore(t))
		way.set(true)
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		_, err := Open(ctx, way, Options{})
		wantKind(t, err, jackfield.Unavailable)
		if !errors.Is(err, store.ErrUnavailable) {
			t.Errorf("got %v", err)
		}
		time.AfterFunc(20*time.Second, func() { way.set(false) })
		open(t, way, Options{})
	})
}

// TestUnheard has a write reach the store when its watch does not run.
func TestUnheard(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newCuttable(newStore(t))
		d := open(t, s, Options{})
		addUser(t, d, NewUser{Name: "ada"})
		s.deafen(true)
		synctest.Wait()
		_, _, err := d.AddToken(t.Context(), NewToken{User: "ada"})
		wantKind(t, err, jackfield.Unavailable)
		if !errors.Is(err, errUnheard) {
			t.Errorf("got %v", err)
		}
		s.deafen(false)
		time.Sleep(longestPause)
		if list := d.Tokens("ada"); len(list) != 1 {
			t.Errorf("got %+v", list)
		}
	})
}

func TestBadEntriesLetNobodyIn(t *testing.T) {
	s := newStore(t)
	var log journal
	d := open(t, s, Options{Log: log.log()})
	addUser(t, d, NewUser{Name: "ada"})
	secret, token := addToken(t, d, NewToken{User: "ada"})
	ctx, cancel := authenticate(t, d, secret).Context(t.Context())
	defer cancel()
	e, err := s.Get(t.Context(), userKey("ada"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Update(t.Context(), e.Key, []byte(`{"name":"ada","password":"s3cret`), e.Revision); err != nil {
		t.Fatal(err)
	}
	<-ctx.Done()
	for key, value := range map[string]string{
		"identity.user.bob":      `{"name":"eve","id":"1"}`,
		"identity.user.eve":      `{"name":"eve","id":"1","password":"s3cret"}`,
		"identity.user.-":        `{}`,
		"identity.token.1":       `{"sha256":"s3cret"}`,
		"identity.token.2":       `[]`,
		"identity.later.version": ``,
	} {
		if _, err := s.Create(t.Context(), key, []byte(value)); err != nil {
			t.Fatal(err)
		}
	}
	addUser(t, d, NewUser{Name: "last"}) // and so everything before it was heard
	if list := d.Users(); len(list) != 1 || list[0].Name != "last" {
		t.Errorf("got %+v", list)
	}
	d.sweep(t.Context())
	if _, err := s.Get(t.Context(), tokenKey(token.ID)); err != nil {
		t.Error("the tokens of a user whose entry cannot be read were removed")
	}
	if n := strings.Count(log.String(), "cannot be read"); n < 6 || strings.Contains(log.String(), "s3cret") {
		t.Errorf("%d lines in the log:\n%s", n, &log)
	}
}

func TestWatch(t *testing.T) {
	d := withUsers(t)
	ctx, cancel := context.WithCancel(t.Context())
	events := d.Watch(ctx)
	addUser(t, d, NewUser{Name: "ada"})
	_, token := addToken(t, d, NewToken{User: "ada"})
	yes := true
	if _, err := d.ChangeUser(t.Context(), "ada", 0, Change{Admin: &yes}); err != nil {
		t.Fatal(err)
	}
	file := File{Users: []FileUser{{Name: "fay"}}, Groups: []FileGroup{{Name: "lab", Members: []string{"ada"}}}}
	if err := d.Configure(file); err != nil {
		t.Fatal(err)
	}
	if err := d.RemoveUser(t.Context(), "ada", 0); err != nil {
		t.Fatal(err)
	}
	for _, want := range []Event{
		{UserAdded, "ada", ""}, {TokenAdded, "ada", token.ID}, {UserChanged, "ada", ""}, {UserChanged, "ada", ""}, {UserAdded, "fay", ""},
		{UserRemoved, "ada", ""}, {TokenRemoved, "ada", token.ID},
	} {
		if got := <-events; got != want {
			t.Fatalf("got %+v, want %+v", got, want)
		}
	}
	cancel()
	if e, open := <-events; open {
		t.Errorf("got %+v", e)
	}
}

func TestSlowReaderIsDismissed(t *testing.T) {
	d := withUsers(t)
	events := d.Watch(t.Context())
	closed := d.Watch(t.Context())
	for n := range MaxBehind + 1 {
		d.mu.Lock()
		d.tell(Event{Kind: UserChanged, User: "ada"})
		d.mu.Unlock()
		if n == 0 {
			continue
		}
		<-closed
	}
	n := 0
	for range events {
		n++
	}
	if n != MaxBehind {
		t.Errorf("%d events were told", n)
	}
	<-closed
	d.Close()
	if _, open := <-closed; open {
		t.Error("a channel outlives its directory")
	}
}
