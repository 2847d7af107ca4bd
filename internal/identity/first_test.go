package identity

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"jackfield"
)

func firstPath(t testing.TB) string { return filepath.Join(t.TempDir(), "first-token") }

// readSecret returns what the file has; the file must be there.
func readSecret(t testing.TB, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSuffix(string(text), "\n")
}

func wantNoFile(t testing.TB, path string) {
	t.Helper()
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the file of the first token: %v", err)
	}
}

// logInFirst exchanges the token in the file for one that administers.
func logInFirst(t testing.TB, d *Directory, path string) {
	t.Helper()
	secret, _, err := d.Exchange(t.Context(), readSecret(t, path), NewToken{})
	if err != nil {
		t.Fatal(err)
	}
	if c := authenticate(t, d, secret); !c.Admin || c.Identity.User != "admin" {
		t.Errorf("got %+v", c)
	}
	wantNoFile(t, path)
}

func TestFirstToken(t *testing.T) {
	path := firstPath(t)
	var log journal
	s := newStore(t)
	d := open(t, s, Options{FirstTokenPath: path, Log: log.log()})
	secret := readSecret(t, path)
	if info, err := os.Stat(path); err != nil || runtime.GOOS != "windows" && info.Mode().Perm() != 0o600 {
		t.Errorf("the file is %v, %v", info.Mode(), err)
	}
	if !strings.Contains(log.String(), path) || strings.Contains(log.String(), secret[len(SecretPrefix):]) {
		t.Errorf("the log says %s", &log)
	}
	_, err := d.Authenticate(secret)
	wantKind(t, err, jackfield.Unauthenticated)
	d.Close()

	again := open(t, s, Options{FirstTokenPath: path})
	if readSecret(t, path) != secret || len(again.Tokens("")) != 1 || len(again.Users()) != 1 {
		t.Error("a restart made something new")
	}
	logInFirst(t, again, path)
	if len(again.Tokens("")) != 1 {
		t.Errorf("got %+v", again.Tokens(""))
	}
	_, _, err = again.Exchange(t.Context(), secret, NewToken{})
	wantKind(t, err, jackfield.Unauthenticated)
	for _, token := range again.Tokens("") {
		if err := again.RemoveToken(t.Context(), token.ID); err != nil {
			t.Fatal(err)
		}
	}
	again.Close()
	open(t, s, Options{FirstTokenPath: path})
	wantNoFile(t, path)
}

func TestNoFirstTokenBesideAnAdmin(t *testing.T) {
	path := firstPath(t)
	s := newStore(t)
	file := File{Users: []FileUser{{Name: "fay", Admin: true}}}
	if d := open(t, s, Options{FirstTokenPath: path, File: file}); len(d.Users()) != 1 {
		t.Errorf("got %+v", d.Users())
	}
	wantNoFile(t, path)
	d := open(t, s, Options{})
	addUser(t, d, NewUser{Name: "root", Admin: true})
	if d := open(t, s, Options{FirstTokenPath: path}); len(d.Users()) != 1 {
		t.Errorf("got %+v", d.Users())
	}
	wantNoFile(t, path)
}

func TestFirstAdminWhoseNameIsTaken(t *testing.T) {
	path := firstPath(t)
	s := newStore(t)
	addUser(t, open(t, s, Options{}), NewUser{Name: "admin"})
	d := open(t, s, Options{FirstTokenPath: path})
	if u, err := d.User("admin"); err != nil || u.Admin {
		t.Errorf("got %+v, %v", u, err)
	}
	if u, err := d.User("admin-2"); err != nil || !u.Admin {
		t.Errorf("got %+v, %v", u, err)
	}
}

// TestFirstTokenAfterACrash is killed after each of its writes; the next start lets the admin in.
func TestFirstTokenAfterACrash(t *testing.T) {
	for name, c := range map[string]struct {
		writes int
		spoil  func(path string) error
	}{
		"before the user":     {writes: 0},
		"before the token":    {writes: 1},
		"file is lost":        {2, os.Remove},
		"file is empty":       {2, func(path string) error { return os.Truncate(path, 0) }},
		"file is cut off":     {2, func(path string) error { return os.Truncate(path, 20) }},
		"file is another":     {2, func(path string) error { return os.WriteFile(path, []byte(newSecret()), 0o600) }},
		"file is a long text": {2, func(path string) error { return os.WriteFile(path, make([]byte, 1<<20), 0o600) }},
		"nothing is wrong":    {writes: 2},
	} {
		t.Run(name, func(t *testing.T) {
			path := firstPath(t)
			way := newCuttable(newStore(t))
			way.allow(c.writes)
			d, err := Open(t.Context(), way, Options{FirstTokenPath: path})
			if c.writes < 2 {
				wantKind(t, err, jackfield.Unavailable)
			} else {
				d.Close()
			}
			if c.spoil != nil {
				if err := c.spoil(path); err != nil {
					t.Fatal(err)
				}
			}
			way.allow(-1)
			next := open(t, way, Options{FirstTokenPath: path})
			logInFirst(t, next, path)
			next.sweep(t.Context())
			if len(next.Users()) != 1 || len(next.Tokens("")) != 1 {
				t.Errorf("what is left over: %+v", next.Tokens(""))
			}
		})
	}
}

func TestFirstTokenExpires(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := firstPath(t)
		s := newStore(t)
		d := open(t, s, Options{FirstTokenPath: path})
		secret := readSecret(t, path)
		d.Close()
		time.Sleep(FirstTokenLifetime)
		d = open(t, s, Options{FirstTokenPath: path})
		second := readSecret(t, path)
		if second == secret {
			t.Fatal("the expired token is in the file")
		}
		_, _, err := d.Exchange(t.Context(), secret, NewToken{})
		wantKind(t, err, jackfield.Unauthenticated)
		time.Sleep(FirstTokenLifetime + 2*time.Hour) // while it runs
		synctest.Wait()
		if readSecret(t, path) == second {
			t.Fatal("the expired token is in the file")
		}
		logInFirst(t, d, path)
	})
}

func TestFirstTokenIsVoidOnceThereIsAPassword(t *testing.T) {
	path := firstPath(t)
	d := open(t, newStore(t), Options{FirstTokenPath: path})
	secret := readSecret(t, path)
	if _, err := d.SetPassword(t.Context(), "admin", 0, password); err != nil {
		t.Fatal(err)
	}
	d.dropFirstToken()
	wantNoFile(t, path)
	_, _, err := d.Exchange(t.Context(), secret, NewToken{})
	wantKind(t, err, jackfield.Unauthenticated)
}

// TestFirstTokensOfTwoNodes has each node make its own; one login makes both void and removes both files.
func TestFirstTokensOfTwoNodes(t *testing.T) {
	s := newStore(t)
	paths := []string{firstPath(t), firstPath(t)}
	nodes := make([]*Directory, 2)
	opened := make(chan error, 2)
	for n := range nodes {
		go func() {
			var err error
			nodes[n], err = Open(t.Context(), s, Options{FirstTokenPath: paths[n]})
			opened <- err
		}()
	}
	for range nodes {
		if err := <-opened; err != nil {
			t.Fatal(err)
		}
	}
	defer nodes[0].Close()
	defer nodes[1].Close()
	if list := nodes[0].Users(); len(list) != 1 {
		t.Fatalf("got %+v", list)
	}
	other := readSecret(t, paths[1])
	logInFirst(t, nodes[0], paths[0])
	await(t, nodes[1], func() bool { return !nodes[1].users["admin"].first })
	nodes[1].dropFirstToken()
	wantNoFile(t, paths[1])
	_, _, err := nodes[0].Exchange(t.Context(), other, NewToken{})
	wantKind(t, err, jackfield.Unauthenticated)
	nodes[0].removeOrphans(t.Context())
	if list := nodes[0].Tokens(""); len(list) != 1 {
		t.Errorf("got %+v", list)
	}
}

func TestFirstTokenCannotBeWritten(t *testing.T) {
	path := filepath.Join(t.TempDir(), "no", "such", "directory")
	_, err := Open(t.Context(), newStore(t), Options{FirstTokenPath: path})
	wantKind(t, err, jackfield.Internal)
	if strings.Contains(err.Error(), SecretPrefix) {
		t.Errorf("got %v", err)
	}
}

func TestFirstTokenFileIsNeverWrittenThrough(t *testing.T) {
	path := firstPath(t)
	target := filepath.Join(t.TempDir(), "target")
	if err := os.Symlink(target, path); err != nil {
		t.Fatal(err)
	}
	open(t, newStore(t), Options{FirstTokenPath: path})
	wantNoFile(t, target)
	if info, err := os.Lstat(path); err != nil || !info.Mode().IsRegular() {
		t.Errorf("got %v, %v", info, err)
	}
}

func TestOneOfTwoFirstLoginsWins(t *testing.T) {
	for range 10 {
		s := newStore(t)
		var nodes [2]*Directory
		var secrets [2]string
		for n := range nodes {
			path := firstPath(t)
			nodes[n] = open(t, s, Options{FirstTokenPath: path})
			secrets[n] = readSecret(t, path)
		}
		errs := make(chan error, len(nodes))
		for n := range nodes {
			go func() {
				_, _, err := nodes[n].Exchange(t.Context(), secrets[n], NewToken{})
				errs <- err
			}()
		}
		first, second := <-errs, <-errs
		if (first == nil) == (second == nil) {
			t.Fatalf("the logins ended with %v and %v", first, second)
		}
		if first == nil {
			first = second
		}
		wantKind(t, first, jackfield.Unauthenticated)
	}
}
