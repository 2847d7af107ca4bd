package authority

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"jackfield/internal/privatefile"
)

const day = 24 * time.Hour

func TestOpenMakesAnAuthority(t *testing.T) {
	dir := newDir(t)
	a := open(t, dir)
	root := decode(t, a.Bundle())
	if years := root.NotAfter.Sub(root.NotBefore) / (365 * day); years != 10 {
		t.Errorf("it lives for %d years", years)
	}
	if age := time.Since(root.NotBefore); age < 4*time.Minute || age > time.Hour {
		t.Errorf("it began %v ago", age)
	}
	if len(a.Fingerprint()) != 64 {
		t.Errorf("fingerprint %q", a.Fingerprint())
	}
	again := open(t, dir)
	if again.Fingerprint() != a.Fingerprint() || !bytes.Equal(again.Bundle(), a.Bundle()) {
		t.Error("the second start made another authority")
	}
}

func TestOpenAfterHalfAFirstStart(t *testing.T) {
	whole := open(t, newDir(t)).Files()[FileName]
	for name, left := range map[string][]byte{"nothing": nil, "half": whole[:len(whole)/2], "all, not renamed": whole} {
		t.Run(name, func(t *testing.T) {
			dir := newDir(t)
			if err := os.Mkdir(dir, 0o700); err != nil {
				t.Fatal(err)
			}
			write(t, filepath.Join(dir, FileName+".new"), left)
			a := open(t, dir)
			if open(t, dir).Fingerprint() != a.Fingerprint() {
				t.Error("the authority was not kept")
			}
			if entries, err := os.ReadDir(dir); err != nil || len(entries) != 1 {
				t.Errorf("%v, %v: want only %s", entries, err, FileName)
			}
		})
	}
}

func TestOpenRefusesDamage(t *testing.T) {
	a, other := open(t, newDir(t)), open(t, newDir(t))
	good, rotated := a.current.Load(), mustRotate(t, a)
	key, root, _ := cutPEM(good.text)
	otherKey, otherRoot, _ := cutPEM(other.current.Load().text)
	_, newRoot, rest := cutPEM(rotated.text)
	newKey, _, _ := cutPEM(rotated.text)
	cross, old, _ := cutPEM(rest)
	leaf := issue(t, other, "x.test").now()
	block := func(kind string, length int) []byte {
		return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: make([]byte, length)})
	}
	for name, test := range map[string]struct {
		text []byte
		want string
	}{
		"empty":                        {nil, "does not begin with a private key"},
		"zeros":                        {make([]byte, 512), "does not begin with a private key"},
		"not PEM":                      {[]byte("hello"), "does not begin with a private key"},
		"too long":                     {bytes.Repeat([]byte("a"), privatefile.MaxSize+1), "bytes"},
		"key only":                     {key, "0 certificates"},
		"certificate only":             {root, "does not begin with a private key"},
		"first half":                   {good.text[:len(good.text)/2], "damaged"},
		"last byte cut":                {good.text[:len(good.text)-2], "damaged"},
		"garbage after":                {join(good.text, []byte("x")), "not PEM"},
		"two keys":                     {join(key, key, root), `"PRIVATE KEY" where`},
		"another's key":                {join(otherKey, root), "not that of its certificate"},
		"another's certificate":        {join(key, otherRoot), "not that of its certificate"},
		"key of another sort":          {join(ed25519PEM(t), root), "P-256"},
		"key of zeros":                 {join(block(typeKey, 138), root), "cannot be read"},
		"certificate of zeros":         {join(key, block(typeCertificate, 300)), "cannot be read"},
		"not of an authority":          {leafState(t, leaf.Leaf, leaf.PrivateKey), "not that of an authority"},
		"two certificates":             {join(newKey, newRoot, cross), "2 certificates"},
		"cross-signed is not":          {join(newKey, newRoot, newRoot, old), "did not sign"},
		"old authority is another":     {join(newKey, newRoot, cross, otherRoot), "did not sign"},
		"old authority is cross":       {join(newKey, newRoot, cross, cross), "old authority's certificate"},
		"cross-signed is of other key": {join(key, root, cross, old), "did not sign"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := newDir(t)
			if err := os.Mkdir(dir, 0o700); err != nil {
				t.Fatal(err)
			}
			path := filepath.Join(dir, FileName)
			write(t, path, test.text)
			_, err := Open(Options{Dir: dir})
			if err == nil || !strings.Contains(err.Error(), test.want) || !strings.Contains(err.Error(), path) {
				t.Fatalf("got %v, want %q", err, test.want)
			}
			if name != "too long" && !strings.Contains(err.Error(), "remove it") {
				t.Errorf("what is to be done? %v", err)
			}
			if leaks(err.Error(), good.text) || leaks(err.Error(), otherKey) {
				t.Errorf("the error quotes a secret: %v", err)
			}
			if !bytes.Equal(read(t, path), test.text) {
				t.Error("the file was changed")
			}
			before := a.Fingerprint()
			if err := a.Restore(map[string][]byte{FileName: test.text}); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("restore: got %v, want %q", err, test.want)
			}
			if a.Fingerprint() != before {
				t.Error("restore has changed the authority")
			}
		})
	}
}

// leaks says whether a message has a line of a file's PEM in it.
func leaks(message string, text []byte) bool {
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		if len(line) > 8 && !strings.HasPrefix(line, "-----") && strings.Contains(message, line[:8]) {
			return true
		}
	}
	return false
}

func cutPEM(text []byte) (first, second, rest []byte) {
	block, rest := pem.Decode(text)
	next, rest := pem.Decode(rest)
	return pem.EncodeToMemory(block), pem.EncodeToMemory(next), rest
}

func join(texts ...[]byte) []byte { return bytes.Join(texts, nil) }

func ed25519PEM(t *testing.T) []byte {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return keyPEM(t, key)
}

func keyPEM(t testing.TB, key any) []byte {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: typeKey, Bytes: der})
}

func certificatePEM(c *x509.Certificate) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: typeCertificate, Bytes: c.Raw})
}

func leafState(t *testing.T, leaf *x509.Certificate, key any) []byte {
	return join(keyPEM(t, key), certificatePEM(leaf))
}

func mustRotate(t testing.TB, a *Authority) *state {
	t.Helper()
	if err := a.Rotate(); err != nil {
		t.Fatal(err)
	}
	return a.current.Load()
}

func TestOpenWithoutParent(t *testing.T) {
	if _, err := Open(Options{Dir: filepath.Join(t.TempDir(), "no", "ca")}); err == nil {
		t.Error("a directory was made in one that is not there")
	}
}

func TestOpenInAFile(t *testing.T) {
	path := newDir(t)
	write(t, path, nil)
	if _, err := Open(Options{Dir: path}); err == nil || !strings.Contains(err.Error(), "move it away") {
		t.Errorf("got %v", err)
	}
}

func TestClock(t *testing.T) {
	if _, err := newState(time.Unix(1000, 0)); err == nil || !strings.Contains(err.Error(), "1970-01-01") {
		t.Errorf("a clock that was never set: got %v", err)
	}
	synctest.Test(t, func(t *testing.T) {
		dir := newDir(t)
		open(t, dir)
		time.Sleep(10*365*day - 30*day)
		log := new(journal)
		open(t, dir, func(o *Options) { o.Log = log.log() })
		if log.count("ends soon") != 1 {
			t.Error("no warning of the end of the authority")
		}
		time.Sleep(40 * day)
		if _, err := Open(Options{Dir: dir}); err == nil || !strings.Contains(err.Error(), "ended on 2010-01-01") {
			t.Errorf("an authority that has ended: got %v", err)
		}
	})
}

func TestBackup(t *testing.T) {
	dir := newDir(t)
	a := open(t, dir)
	server := listen(t, a, Listener{Clients: Required})
	before, _ := enrol(t, a, Subject{User, "ada"}, time.Hour)
	backup, fingerprint := a.Files(), a.Fingerprint()

	mustRotate(t, a)
	if err := a.RetireOld(); err != nil {
		t.Fatal(err)
	}
	between, _ := enrol(t, a, Subject{User, "bob"}, time.Hour)
	m := meet(server, between)
	m.mustSucceed(t)

	if err := a.Restore(backup); err != nil {
		t.Fatal(err)
	}
	if a.Fingerprint() != fingerprint || open(t, dir).Fingerprint() != fingerprint {
		t.Error("the authority is not that of the backup")
	}
	m = meet(server, before)
	m.mustSucceed(t)
	between.RootCAs = before.RootCAs
	m = meet(server, between)
	m.mustFail(t, "unknown authority")
}

func TestRestoreRefuses(t *testing.T) {
	a := open(t, newDir(t))
	for name, test := range map[string]struct {
		files map[string][]byte
		want  string
	}{
		"nothing":      {nil, "has no ca.pem"},
		"another file": {map[string][]byte{FileName: a.Files()[FileName], "../x": nil}, `"../x"`},
	} {
		if err := a.Restore(test.files); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: got %v, want %q", name, err, test.want)
		}
	}
}

// A backup is a copy: who changes it changes nothing here.
func TestFilesAreCopies(t *testing.T) {
	a := open(t, newDir(t))
	clear(a.Files()[FileName])
	if err := a.Restore(a.Files()); err != nil {
		t.Error(err)
	}
}

func FuzzParseState(f *testing.F) {
	a := open(f, newDir(f))
	f.Add(a.Files()[FileName])
	f.Add(mustRotate(f, a).text)
	f.Add([]byte("-----BEGIN PRIVATE KEY-----\n-----END PRIVATE KEY-----\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		s, err := parseState(text, time.Now())
		if err != nil {
			return
		}
		again, err := parseState(s.text, time.Now())
		if err != nil || !bytes.Equal(again.text, s.text) {
			t.Errorf("what was read is not what is written: %v", err)
		}
	})
}
