package client_test

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"jackfield/internal/client"
)

func open(t *testing.T) *client.Contexts {
	t.Helper()
	contexts, err := client.Open(filepath.Join(t.TempDir(), "config", "jackfield"))
	if err != nil {
		t.Fatal(err)
	}
	return contexts
}

func TestContexts(t *testing.T) {
	contexts := open(t)
	if _, err := contexts.Current(); !errors.Is(err, client.ErrNone) {
		t.Errorf("without a login: %v", err)
	}
	if all, err := contexts.List(); err != nil || all == nil || len(all) > 0 {
		t.Errorf("without a login: %v, %v", all, err)
	}
	lab := client.Login{Context: "lab", URL: "https://lab.example", User: "ada", Token: "jft_a", Expires: time.Now().UTC().Round(0)}
	work := client.Login{Context: "work.2", URL: "https://work.example", Authorities: "PEM"}
	for _, l := range []client.Login{work, lab} {
		if err := contexts.Save(l); err != nil {
			t.Fatal(err)
		}
	}
	if err := contexts.Use("lab"); err != nil {
		t.Fatal(err)
	}
	if err := contexts.Use("nosuch"); !errors.Is(err, client.ErrNone) {
		t.Errorf("the use of no context: %v", err)
	}
	if l, err := contexts.Current(); err != nil || *l != lab {
		t.Errorf("current: %+v, %v", l, err)
	}
	if all, err := contexts.List(); err != nil || len(all) != 2 || all[0] != lab || all[1] != work {
		t.Errorf("list: %+v, %v", all, err)
	}
	private(t, contexts.Dir())
	if err := contexts.Remove("lab"); err != nil {
		t.Fatal(err)
	}
	if _, err := contexts.Current(); !errors.Is(err, client.ErrNone) {
		t.Errorf("after the removal of the current one: %v", err)
	}
	if err := contexts.Remove("nosuch"); err == nil {
		t.Error("what is not there was removed")
	}
}

// private finds whether only the owner may look into a directory and read what is in it.
func private(t *testing.T, dir string) {
	t.Helper()
	if runtime.GOOS == "windows" {
		return
	}
	err := filepath.Walk(dir, func(path string, info os.FileInfo, err error) error {
		if err == nil && info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has the mode %v", path, info.Mode())
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

func TestContextNames(t *testing.T) {
	contexts := open(t)
	for _, name := range []string{"", ".", "..", ".hidden", "a/b", `a\b`, "../a", "a b", "a\x00", "ä", strings.Repeat("a", 101)} {
		if err := contexts.Save(client.Login{Context: name}); err == nil {
			t.Errorf("%q was taken for a name", name)
		}
		if _, err := contexts.Load(name); err == nil || errors.Is(err, client.ErrNone) {
			t.Errorf("%q: %v", name, err)
		}
	}
	for server, want := range map[string]string{
		"https://jackfield.example.org": "jackfield.example.org",
		"https://127.0.0.1:1443":        "127.0.0.1-1443",
		"https://[::1]:1443":            "1-1443",
		"https://[2001:db8::1]":         "2001-db8--1",
	} {
		if got := client.ContextName(server); got != want || client.CheckContextName(got) != nil {
			t.Errorf("%s: %q", server, got)
		}
	}
}

// What is no context, or could be somebody else's, is not used; and no error tells a secret.
func TestDamage(t *testing.T) {
	contexts := open(t)
	path := filepath.Join(contexts.Dir(), "contexts", "lab.json")
	damage := func(text string, mode os.FileMode) error {
		if err := contexts.Save(client.Login{Context: "lab", Token: "jft_secret"}); err != nil {
			t.Fatal(err)
		}
		if text != "" {
			if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		_, err := contexts.Load("lab")
		return err
	}
	for name, err := range map[string]error{
		"cut":      damage(`{"token": "jft_secret`, 0o600),
		"strange":  damage(`{"token": ["jft_secret"]}`, 0o600),
		"too long": damage(strings.Repeat(" ", 1<<20+1)+"{}", 0o600),
		"readable": damage("", 0o644),
	} {
		if name == "readable" && runtime.GOOS == "windows" {
			continue
		}
		if err == nil || strings.Contains(err.Error(), "secret") || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Where others can put files, or have, no login is taken from.
func TestForeignFiles(t *testing.T) {
	if runtime.GOOS == "windows" {
		return
	}
	contexts := open(t)
	if err := contexts.Save(client.Login{Context: "lab", Token: "jft_secret"}); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{contexts.Dir(), filepath.Join(contexts.Dir(), "contexts")} {
		if err := os.Chmod(dir, 0o777); err != nil {
			t.Fatal(err)
		}
		if _, err := contexts.Load("lab"); err == nil || !strings.Contains(err.Error(), "others may write to "+dir) {
			t.Errorf("%s that all may write to: %v", dir, err)
		}
		if err := os.Chmod(dir, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if os.Geteuid() != 0 {
		return // only root can give files away
	}
	for _, path := range []string{filepath.Join(contexts.Dir(), "contexts", "lab.json"), contexts.Dir()} {
		if err := os.Chown(path, 1234, -1); err != nil {
			t.Fatal(err)
		}
		if _, err := contexts.Load("lab"); err == nil || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), "belongs to another user") {
			t.Errorf("%s of another user: %v", path, err)
		}
		if err := os.Chown(path, 0, -1); err != nil {
			t.Fatal(err)
		}
	}
}

// Whoever reads while others write sees one of their logins, whole.
func TestConcurrentSaves(t *testing.T) {
	contexts := open(t)
	save := func(user string) error {
		return contexts.Save(client.Login{Context: "lab", User: user, Token: strings.Repeat(user, 1000)})
	}
	if err := save("a"); err != nil {
		t.Fatal(err)
	}
	var writers sync.WaitGroup
	defer writers.Wait()
	for _, user := range []string{"a", "b"} {
		writers.Go(func() {
			for range 20 {
				if err := save(user); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for range 100 {
		if l, err := contexts.Load("lab"); err != nil || l.Token != strings.Repeat(l.User, 1000) {
			t.Fatalf("%+v, %v", l, err)
		}
	}
}
