package identity

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"jackfield"
	"jackfield/internal/store"
)

// firstToken is the file with the one-time token of the first admin.
type firstToken struct {
	path string // empty: none is made

	mu sync.Mutex // guards what follows, and the file's removal
	id string     // of the token in the file; empty: there is none, or it is being made
}

// ensureFirstToken sees to it that an admin can log in who never did: with the token in the file, if nobody else is an admin.
//
// What is made is made in this order: the user, who is marked as first; the file; the token. Whoever is killed in between leaves a
// file that is no token of the store's, or none, and the next start makes a new one.
func (d *Directory) ensureFirstToken(ctx context.Context) error {
	if d.first.path == "" {
		return nil
	}
	id, err := readFirstToken(d.first.path)
	if err != nil {
		return firstTokenError(err)
	}
	if d.isFirstToken(id) {
		d.first.set(id)
		return nil
	}
	d.first.set("")
	if err := os.Remove(d.first.path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return firstTokenError(err)
	}
	admin, wanted := d.firstAdmin()
	if !wanted {
		return nil
	}
	if admin == nil {
		if admin, err = d.addFirstAdmin(ctx); admin == nil {
			return err
		}
	}
	return d.makeFirstToken(ctx, admin)
}

func firstTokenError(err error) error {
	return jackfield.Refuse(jackfield.Internal, "the token of the first admin cannot be kept in its file", err)
}

// isFirstToken says whether the token lets the first admin in.
func (d *Directory) isFirstToken(id string) bool {
	d.mu.RLock()
	defer d.mu.RUnlock()
	t := d.stored.tokens[id]
	if t == nil || !t.first || !time.Now().Before(t.Expires) {
		return false
	}
	u, why := d.standing(t.User, t.userID)
	return why == nil && u.first
}

// firstAdmin says whether a first token is wanted, and for whom; nil if there is nobody yet. It is not while somebody else is an
// admin, or holds a token of the first admin's that is not a first one.
func (d *Directory) firstAdmin() (admin *user, wanted bool) {
	d.mu.RLock()
	defer d.mu.RUnlock()
	if d.hasAdmin(func(u *user) bool { return !u.first }) {
		return nil, false
	}
	d.hasAdmin(func(u *user) bool { admin = u; return true })
	if admin == nil {
		return nil, true
	}
	for _, t := range d.stored.tokens {
		if t.userID == admin.ID && !t.first && time.Now().Before(t.Expires) {
			return nil, false
		}
	}
	return admin, true
}

// addFirstAdmin makes the first admin. It returns none, and no error, when another node was quicker and has gone further.
func (d *Directory) addFirstAdmin(ctx context.Context) (*user, error) {
	now := time.Now().UTC()
	r := &userRecord{Name: d.freeName("admin"), ID: newID(), Admin: true, First: true, Created: now, Updated: now}
	err := d.createUser(ctx, r)
	if errors.Is(err, store.ErrExists) {
		err = d.settled(ctx, func(s *state) bool { return s.users[r.Name] != nil })
	}
	if err != nil {
		return nil, err
	}
	admin, _ := d.firstAdmin()
	return admin, nil
}

// freeName is the name, or the name with a number where that is taken by somebody who is no admin.
func (d *Directory) freeName(name string) string {
	d.mu.RLock()
	defer d.mu.RUnlock()
	free := name
	for n := 2; d.users[free] != nil || d.stored.users[free] != nil; n++ {
		free = fmt.Sprintf("%s-%d", name, n)
	}
	return free
}

func (d *Directory) makeFirstToken(ctx context.Context, admin *user) error {
	secret := newSecret()
	if err := writeFirstToken(d.first.path, secret); err != nil {
		return firstTokenError(err)
	}
	n := NewToken{Label: "first login", Scopes: AllScopes(), Lifetime: FirstTokenLifetime, OneTime: true}
	r := newTokenRecord(admin, n, secret)
	r.First = true
	t, err := d.createToken(ctx, r)
	if err != nil {
		return err
	}
	d.first.set(t.ID)
	d.dropFirstToken()
	d.log.Info("nobody has logged in yet: a one-time token for the first admin is in a file",
		"file", d.first.path, "user", admin.Name, "expires", t.Expires)
	return nil
}

func (f *firstToken) set(id string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.id = id
}

// dropFirstToken removes the file when its token is void. It returns when the file is gone.
func (d *Directory) dropFirstToken() {
	f := &d.first
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.id == "" || d.isFirstToken(f.id) {
		return
	}
	if err := os.Remove(f.path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		d.log.Error("the file of the first admin's token cannot be removed; the token is void", "file", f.path, "error", err)
	}
	f.id = ""
}

// readFirstToken returns the ID of the token in the file; empty if there is no file, or no token in it.
func readFirstToken(path string) (id string, err error) {
	file, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, 2*int64(secretLength)))
	secret := strings.TrimSpace(string(text))
	if err != nil || checkSecret(secret) != nil {
		return "", err
	}
	return tokenID(hashSecret(secret)), nil
}

// writeFirstToken makes the file, which only its owner can read. When it returns, the file survives a crash.
func writeFirstToken(path, secret string) error {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = file.WriteString(secret + "\n")
	if err := errors.Join(err, file.Sync(), file.Close()); err != nil {
		return errors.Join(err, os.Remove(path))
	}
	return syncDir(filepath.Dir(path))
}
