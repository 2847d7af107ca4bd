package identity

import (
	"context"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"

	"pgregory.net/rapid"

	"jackfield/internal/store/memory"
)

// TestNoValidTokenOfARemovedUser adds and removes users of the same few names, killed between any two writes and started again, and
// holds every token that was ever given out to the user that it was made for.
func TestNoValidTokenOfARemovedUser(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rapid.Check(struct{ rapid.TB }{t}, live) // not *testing.T, whose Deadline a bubble does not allow
	})
}

func live(t *rapid.T) {
	m := newModel(t)
	defer m.close()
	name := rapid.SampledFrom([]string{"ada", "bob"})
	t.Repeat(map[string]func(*rapid.T){
		"":       m.check,
		"add":    func(t *rapid.T) { m.add(name.Draw(t, "name")) },
		"remove": func(t *rapid.T) { m.remove(name.Draw(t, "name"), rapid.IntRange(-1, 3).Draw(t, "writes")) },
		"give":   func(t *rapid.T) { m.give(name.Draw(t, "name"), rapid.Bool().Draw(t, "one-time")) },
		"enable": func(t *rapid.T) { m.enable(name.Draw(t, "name"), rapid.Bool().Draw(t, "enabled")) },
		"revoke": m.revoke,
		"start":  func(*rapid.T) { m.restart() },
		"away":   func(*rapid.T) { m.way.set(true); m.way.set(false) },
	})
}

// model is what is true of a directory.
type model struct {
	t     *rapid.T
	store *memory.Store
	way   *cuttable
	d     *Directory
	users map[string]*modelUser
	given []*modelToken
}

type modelUser struct{ disabled, removed bool }

type modelToken struct {
	secret  string
	user    *modelUser
	oneTime bool
	revoked bool
}

func newModel(t *rapid.T) *model {
	s := memory.New()
	m := &model{t: t, store: s, way: newCuttable(s), users: map[string]*modelUser{}}
	m.start()
	return m
}

func (m *model) start() {
	d, err := Open(context.Background(), m.way, Options{Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		m.t.Fatal(err)
	}
	d.costs = cheap
	m.d = d
}

func (m *model) restart() {
	m.d.Close()
	m.start()
}

func (m *model) close() {
	m.d.Close()
	m.store.Close()
}

func (m *model) add(name string) {
	_, err := m.d.AddUser(context.Background(), NewUser{Name: name}, "")
	if (err == nil) == (m.users[name] != nil) {
		m.t.Fatalf("adding %s: %v", name, err)
	}
	if err == nil {
		m.users[name] = &modelUser{}
	}
}

// remove is killed after so many writes, if that is not negative.
func (m *model) remove(name string, writes int) {
	m.way.allow(writes)
	err := m.d.RemoveUser(context.Background(), name, 0)
	m.way.allow(-1)
	if (err == nil) != (m.users[name] != nil && writes != 0) {
		m.t.Fatalf("removing %s with %d writes: %v", name, writes, err)
	}
	if err == nil {
		m.users[name].removed = true
		delete(m.users, name)
	}
	if writes >= 0 {
		m.restart()
	}
}

func (m *model) give(name string, oneTime bool) {
	secret, _, err := m.d.AddToken(context.Background(), NewToken{User: name, OneTime: oneTime})
	if (err == nil) != (m.users[name] != nil) {
		m.t.Fatalf("a token for %s: %v", name, err)
	}
	if err == nil {
		m.given = append(m.given, &modelToken{secret: secret, user: m.users[name], oneTime: oneTime})
	}
}

func (m *model) enable(name string, enabled bool) {
	disabled := !enabled
	if _, err := m.d.ChangeUser(context.Background(), name, 0, Change{Disabled: &disabled}); err == nil {
		m.users[name].disabled = disabled
	}
}

func (m *model) revoke(t *rapid.T) {
	if len(m.given) == 0 {
		return
	}
	token := rapid.SampledFrom(m.given).Draw(t, "token")
	if err := m.d.RemoveToken(context.Background(), tokenID(hashSecret(token.secret))); err == nil {
		token.revoked = true
	}
}

func (m *model) check(t *rapid.T) {
	for _, token := range m.given {
		good := !token.user.removed && !token.user.disabled && !token.revoked && !token.oneTime
		if _, err := m.d.Authenticate(token.secret); (err == nil) != good {
			t.Fatalf("%+v of %+v: %v", token, token.user, err)
		}
		if token.oneTime && token.user.removed {
			if _, _, err := m.d.Exchange(context.Background(), token.secret, NewToken{}); err == nil {
				t.Fatalf("%+v of %+v was exchanged", token, token.user)
			}
		}
	}
	for _, listed := range m.d.Tokens("") {
		if strings.TrimSpace(listed.User) == "" || m.users[listed.User] == nil {
			t.Fatalf("%+v is listed", listed)
		}
	}
}
