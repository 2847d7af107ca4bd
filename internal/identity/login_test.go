package identity

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"jackfield"
)

func TestLogin(t *testing.T) {
	d := withUsers(t, "ada")
	secret, token, err := d.Login(t.Context(), "ADA", password, source, NewToken{Label: "laptop"})
	if err != nil {
		t.Fatal(err)
	}
	if c := authenticate(t, d, secret); c.Identity.User != "ada" || c.TokenID != token.ID || token.Label != "laptop" {
		t.Errorf("got %+v, %+v", c, token)
	}
	_, _, err = d.Login(t.Context(), "ada", password, source, NewToken{Scopes: []Scope{Admin}})
	wantKind(t, err, jackfield.Denied)
	_, _, err = d.Login(t.Context(), "ada", password, source, NewToken{OneTime: true})
	wantKind(t, err, jackfield.Invalid)
	if _, _, err = d.Login(t.Context(), "root", password, source, NewToken{Scopes: AllScopes()}); err != nil {
		t.Error(err)
	}
}

func TestFailedLoginsReadTheSame(t *testing.T) {
	d := withUsers(t, "ada")
	for _, n := range []NewUser{{Name: "off", Disabled: true}, {Name: "none"}} {
		pw := password
		if n.Name == "none" {
			pw = ""
		}
		if _, err := d.AddUser(t.Context(), n, pw); err != nil {
			t.Fatal(err)
		}
	}
	var details []string
	for _, c := range []struct{ name, password string }{
		{"ada", "wrong horse"}, {"ada", ""}, {"ada", password + strings.Repeat("x", MaxPassword)},
		{"eve", password}, {"off", password}, {"none", password}, {"none", ""}, {"no such name", password}, {"", ""},
	} {
		from := netip.AddrFrom4([4]byte{198, 51, 100, byte(len(details))})
		_, _, err := d.Login(t.Context(), c.name, c.password, from, NewToken{})
		wantKind(t, err, jackfield.Unauthenticated)
		refusal := jackfield.AsError(err)
		if refusal.Message != "the user name or the password is wrong" {
			t.Errorf("%s: got %q", c.name, refusal.Message)
		}
		details = append(details, refusal.Details.Error())
	}
	if got := strings.Join(details[:7:7], "; "); got != "wrong password; wrong password; wrong password; there is no such user; "+
		"the user is disabled; the user has no password; the user has no password" {
		t.Errorf("the log is told %q", got)
	}
}

func TestSetPassword(t *testing.T) {
	d := withUsers(t, "ada")
	secret, _ := addToken(t, d, NewToken{User: "ada"})
	if _, err := d.SetPassword(t.Context(), "ada", 0, "battery staple"); err != nil {
		t.Fatal(err)
	}
	if _, _, err := d.Login(t.Context(), "ada", password, source, NewToken{}); err == nil {
		t.Error("the old password is good")
	}
	if _, _, err := d.Login(t.Context(), "ada", "battery staple", source, NewToken{}); err != nil {
		t.Error(err)
	}
	authenticate(t, d, secret)
}

func TestLoginHashesAnewAtOtherCosts(t *testing.T) {
	d := withUsers(t, "ada")
	d.costs.passes = 2
	for range 2 {
		if _, _, err := d.Login(t.Context(), "ada", password, source, NewToken{}); err != nil {
			t.Fatal(err)
		}
		d.mu.RLock()
		hash, revision := d.users["ada"].password, d.users["ada"].Revision
		d.mu.RUnlock()
		if hash.costs.passes != 2 || !hash.fits(password) {
			t.Errorf("the costs are %+v", hash.costs)
		}
		if u, _ := d.User("ada"); u.Revision != revision {
			t.Error("a hash that needed no renewal was renewed")
		}
	}
}

// TestTenThousandWrongPasswords has one source try them as fast as it can, while others log in and show their tokens.
func TestTenThousandWrongPasswords(t *testing.T) {
	d := withUsers(t, "ada", "bob")
	secret, _ := addToken(t, d, NewToken{User: "bob"})
	limited, wrong := 0, 0
	var attack sync.WaitGroup
	attack.Go(func() {
		for range 10_000 {
			_, _, err := d.Login(t.Context(), "ada", "wrong horse", source, NewToken{})
			if jackfield.AsError(err).Kind == jackfield.Limited {
				limited++
			} else {
				wrong++
			}
		}
	})
	for n := range 50 {
		authenticate(t, d, secret)
		from := netip.AddrFrom4([4]byte{203, 0, 113, byte(n)})
		if _, _, err := d.Login(t.Context(), "ada", password, from, NewToken{}); err != nil {
			t.Fatalf("the victim from another source: %v", err)
		}
	}
	attack.Wait()
	if limited+wrong != 10_000 || wrong > 20 {
		t.Errorf("%d were limited, %d computed", limited, wrong)
	}
	if _, _, err := d.Login(t.Context(), "bob", password, source, NewToken{}); err != nil {
		t.Errorf("another user from that source: %v", err)
	}
}

func TestExchange(t *testing.T) {
	d := withUsers(t, "ada")
	oneTime, token := addToken(t, d, NewToken{User: "ada", Scopes: []Scope{Read, Connect}, OneTime: true})
	plain, _ := addToken(t, d, NewToken{User: "ada"})
	_, _, err := d.Exchange(t.Context(), plain, NewToken{})
	wantKind(t, err, jackfield.Invalid)
	_, _, err = d.Exchange(t.Context(), oneTime, NewToken{OneTime: true})
	wantKind(t, err, jackfield.Invalid)
	_, _, err = d.Exchange(t.Context(), oneTime, NewToken{Scopes: []Scope{Write}})
	wantKind(t, err, jackfield.Denied)
	secret, got, err := d.Exchange(t.Context(), oneTime, NewToken{Label: "agent"})
	if err != nil || got.OneTime || got.Label != "agent" || len(got.Scopes) != 2 {
		t.Fatalf("got %+v, %v", got, err)
	}
	authenticate(t, d, secret)
	_, _, err = d.Exchange(t.Context(), oneTime, NewToken{})
	wantKind(t, err, jackfield.Unauthenticated)
	if _, err := d.Token(token.ID); err == nil {
		t.Error("the used token is there")
	}
}

func TestOneOfManyExchangesWins(t *testing.T) {
	s := newStore(t)
	nodes := []*Directory{open(t, s, Options{}), open(t, s, Options{})}
	addUser(t, nodes[0], NewUser{Name: "ada"})
	for range 20 {
		oneTime, token := addToken(t, nodes[0], NewToken{User: "ada", OneTime: true})
		await(t, nodes[1], func() bool { return nodes[1].stored.tokens[token.ID] != nil })
		var mu sync.Mutex
		var won []string
		var group sync.WaitGroup
		for n := range 6 {
			group.Go(func() {
				secret, _, err := nodes[n%2].Exchange(context.Background(), oneTime, NewToken{})
				mu.Lock()
				defer mu.Unlock()
				if err == nil {
					won = append(won, secret)
				} else if kind := jackfield.AsError(err).Kind; kind != jackfield.Unauthenticated {
					t.Errorf("a loser is told %v", err)
				}
			})
		}
		group.Wait()
		if len(won) != 1 {
			t.Fatalf("%d exchanges won", len(won))
		}
		winner := tokenID(hashSecret(won[0]))
		await(t, nodes[0], func() bool { return len(nodes[0].stored.tokens) == 1 && nodes[0].stored.tokens[winner] != nil })
		if err := nodes[0].RemoveToken(t.Context(), winner); err != nil {
			t.Fatal(err)
		}
	}
}

// TestInterruptedExchange is killed after each of its writes.
func TestInterruptedExchange(t *testing.T) {
	for writes, wantLater := range map[int]bool{0: true, 1: true, 2: false} {
		s := newCuttable(newStore(t))
		d := open(t, s, Options{})
		addUser(t, d, NewUser{Name: "ada"})
		oneTime, _ := addToken(t, d, NewToken{User: "ada", OneTime: true})
		s.allow(writes)
		_, _, err := d.Exchange(t.Context(), oneTime, NewToken{})
		if (err != nil) != wantLater {
			t.Fatalf("after %d writes: %v", writes, err)
		}
		if err != nil {
			wantKind(t, err, jackfield.Unavailable)
		}
		s.allow(-1)
		_, _, err = d.Exchange(t.Context(), oneTime, NewToken{})
		if (err == nil) != wantLater {
			t.Errorf("once more, after %d writes: %v", writes, err)
		}
	}
}

func TestLoginOfTheSlowed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := withUsers(t, "ada")
		for range perAccount.free + 1 {
			d.Login(t.Context(), "ada", "wrong horse", source, NewToken{})
		}
		_, _, err := d.Login(t.Context(), "ada", password, source, NewToken{})
		wantKind(t, err, jackfield.Limited)
		if wait := RetryAfter(err); wait != time.Second || RetryAfter(errors.New("x")) != 0 {
			t.Errorf("wait %s", wait)
		}
		time.Sleep(time.Second)
		if _, _, err := d.Login(t.Context(), "ada", password, source, NewToken{}); err != nil {
			t.Error(err)
		}
	})
}
