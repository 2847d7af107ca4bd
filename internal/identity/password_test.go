package identity

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"jackfield"
)

// reference is from the tests of the reference implementation of Argon2 (phc-winner-argon2, src/test.c).
const reference = "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4"

func TestReferenceHash(t *testing.T) {
	p, err := ParsePasswordHash(reference)
	if err != nil {
		t.Fatal(err)
	}
	if !p.fits("password") {
		t.Error("the password does not fit")
	}
	if p.fits("Password") {
		t.Error("another password fits")
	}
	if p.PHC() != reference {
		t.Errorf("got %s", p.PHC())
	}
}

func TestNewPasswordHash(t *testing.T) {
	p, err := NewPasswordHash(password)
	if err != nil {
		t.Fatal(err)
	}
	again, err := NewPasswordHash(password)
	if err != nil || p == again {
		t.Errorf("two hashes of one password are the same (%v)", err)
	}
	if !strings.HasPrefix(p.PHC(), "$argon2id$v=19$m=19456,t=2,p=1$") {
		t.Errorf("got %s", p.PHC()[:40])
	}
	if !p.fits(password) || p.fits(password+"x") || p.fits("") || (PasswordHash{}).fits("") || noPassword().fits(password) {
		t.Error("what fits does not, or what does not fits")
	}
}

func TestPasswordLengths(t *testing.T) {
	for length, fine := range map[int]bool{0: false, 7: false, 8: true, 1024: true, 1025: false} {
		err := checkPassword(strings.Repeat("x", length))
		if fine != (err == nil) {
			t.Errorf("%d bytes: %v", length, err)
		}
		if !fine {
			wantKind(t, err, jackfield.Invalid)
		}
	}
	longest := strings.Repeat("x", MaxPassword)
	if p := hashPassword(longest, cheap); !p.fits(longest) || p.fits(longest+"x") {
		t.Error("a password that is too long is cut off and taken")
	}
}

func TestParsePasswordHashRefuses(t *testing.T) {
	for name, phc := range map[string]string{
		"empty":           "",
		"text":            "password",
		"bcrypt":          "$2b$12$abcdefghijklmnopqrstuv",
		"argon2i":         strings.Replace(reference, "argon2id", "argon2i", 1),
		"old version":     strings.Replace(reference, "v=19", "v=16", 1),
		"much memory":     strings.Replace(reference, "m=256", "m=262145", 1),
		"overflow":        strings.Replace(reference, "m=256", "m=4294967297", 1),
		"little memory":   strings.Replace(reference, "m=256", "m=7", 1),
		"many passes":     strings.Replace(reference, "t=2", "t=17", 1),
		"no passes":       strings.Replace(reference, "t=2", "t=0", 1),
		"no threads":      strings.Replace(reference, "p=1", "p=0", 1),
		"257 threads":     strings.Replace(reference, "p=1", "p=257", 1),
		"leading zero":    strings.Replace(reference, "t=2", "t=02", 1),
		"sign":            strings.Replace(reference, "t=2", "t=+2", 1),
		"order":           strings.Replace(reference, "m=256,t=2", "t=2,m=256", 1),
		"more parameters": strings.Replace(reference, "p=1", "p=1,keyid=a", 1),
		"padding":         strings.Replace(reference, "c29tZXNhbHQ", "c29tZXNhbHQ=", 1),
		"line end":        strings.Replace(reference, "c29tZXNhbHQ", "c29tZ\nXNhbHQ", 1),
		"short salt":      strings.Replace(reference, "c29tZXNhbHQ", "c29t", 1),
		"short hash":      reference[:len(reference)-30],
		"one more field":  reference + "$",
		"long":            reference + strings.Repeat("A", 1<<20),
	} {
		_, err := ParsePasswordHash(phc)
		if err == nil {
			t.Errorf("%s: taken", name)
			continue
		}
		wantKind(t, err, jackfield.Invalid)
		if phc != "" && strings.Contains(err.Error(), phc) {
			t.Errorf("%s: the error shows the hash", name)
		}
	}
}

func TestPasswordHashIsHidden(t *testing.T) {
	p := hashPassword(password, cheap)
	var log bytes.Buffer
	logger := slog.New(slog.NewJSONHandler(&log, nil))
	logger.Info("x", "hash", p, "user", FileUser{Name: "ada", Password: p})
	u := FileUser{Password: p}
	for _, text := range []string{
		fmt.Sprint(p), fmt.Sprintf("%+v %#v", p, p), fmt.Sprintf("%v %+v %#v", u, &u, u), log.String(),
	} {
		for _, secret := range []string{p.PHC(), p.key, p.salt, fmt.Sprintf("%q", p.key), encoding.EncodeToString([]byte(p.key))} {
			if strings.Contains(text, strings.Trim(secret, `"`)) {
				t.Errorf("%q shows a part of the hash", text)
			}
		}
	}
}

func FuzzParsePasswordHash(f *testing.F) {
	f.Add(reference)
	f.Add(hashPassword(password, cheap).PHC())
	f.Add("$argon2id$v=19$m=,t=,p=$$")
	f.Fuzz(func(t *testing.T, phc string) {
		p, err := ParsePasswordHash(phc)
		if err == nil && p.PHC() != phc {
			t.Errorf("%q is written as %q", phc, p.PHC())
		}
		if err == nil && (p.costs.memory > maxMemory || p.costs.passes > maxPasses || p.costs.threads > maxThreads) {
			t.Errorf("%q costs too much", phc)
		}
	})
}
