package identity

import (
	"fmt"
	"strings"

	"jackfield/internal/store"
)

// state is what the store has, as far as its watch has told.
type state struct {
	users    map[string]*user // by name
	tokens   map[string]*token
	revision uint64 // of the last change
}

func newState() *state {
	return &state{users: make(map[string]*user), tokens: make(map[string]*token)}
}

// touched is what a change is about: a user, or a token as it was before and is after.
type touched struct {
	user          string
	before, after *token
}

// apply takes over a change. An entry that cannot be read is as good as removed: nobody is let in by it.
func (s *state) apply(c store.Change) (touched, error) {
	s.revision = max(s.revision, c.Revision)
	switch {
	case strings.HasPrefix(c.Key, userPrefix):
		name, err := s.applyUser(c)
		return touched{user: name}, err
	case strings.HasPrefix(c.Key, tokenPrefix):
		return s.applyToken(c)
	}
	return touched{}, nil // of a later version
}

func (s *state) applyUser(c store.Change) (name string, err error) {
	name, err = userName(c.Key)
	if err != nil {
		return "", err
	}
	delete(s.users, name)
	if c.Deleted {
		return name, nil
	}
	r, err := decodeUser(c.Entry)
	if err != nil {
		return name, fmt.Errorf("%s: %w", c.Key, err)
	}
	u, err := r.user(c.Revision)
	if err != nil {
		return name, fmt.Errorf("%s: the password's hash cannot be read", c.Key)
	}
	s.users[name] = u
	return name, nil
}

func (s *state) applyToken(c store.Change) (touched, error) {
	id := strings.TrimPrefix(c.Key, tokenPrefix)
	changed := touched{before: s.tokens[id]}
	delete(s.tokens, id)
	if c.Deleted {
		return changed, nil
	}
	t, err := decodeToken(c.Entry)
	if err != nil {
		return changed, fmt.Errorf("%s: %w", c.Key, err)
	}
	s.tokens[id] = t
	changed.after = t
	return changed, nil
}

var keyName = strings.NewReplacer("__", "_", "_d", ".", "_a", "@")

// userName is the name in a user's key.
func userName(key string) (string, error) {
	name, err := ParseName(keyName.Replace(strings.TrimPrefix(key, userPrefix)))
	if err != nil || userKey(name) != key {
		return "", fmt.Errorf("%s: the key is not that of a user", key)
	}
	return name, nil
}
