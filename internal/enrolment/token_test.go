package enrolment

import (
	"encoding/hex"
	"strings"
	"testing"
)

var testFingerprint = strings.Repeat("0123456789abcdef", 4)

func TestToken(t *testing.T) {
	text, err := newToken(testFingerprint)
	if err != nil {
		t.Fatal(err)
	}
	token, err := ParseToken(text)
	if err != nil || token.Fingerprint != testFingerprint || token.Text != text {
		t.Fatalf("%+v, %v", token, err)
	}
	if other, err := newToken(testFingerprint); err != nil || other[:60] == text[:60] {
		t.Errorf("another token: %v", err)
	}
	for name, wrong := range map[string]string{
		"empty": "", "another kind": "jft_" + text[4:], "cut off": text[:len(text)-1], "more": text + "a", "upper case": strings.ToUpper(text),
		"line end": text[:len(text)-1] + "\n", "no digit": text[:len(text)-1] + "1",
	} {
		if _, err := ParseToken(wrong); err == nil {
			t.Errorf("%s: it was taken", name)
		} else if len(wrong) > 20 && strings.Contains(err.Error(), wrong) {
			t.Errorf("%s: the error has the token", name)
		}
	}
}

// Whatever single character is mistyped is noticed.
func TestMistypedToken(t *testing.T) {
	text, err := newToken(testFingerprint)
	if err != nil {
		t.Fatal(err)
	}
	for i := len(TokenPrefix); i < len(text); i++ {
		for _, c := range "abcdefghijklmnopqrstuvwxyz234567" {
			if wrong := text[:i] + string(c) + text[i+1:]; wrong != text {
				if _, err := ParseToken(wrong); err == nil {
					t.Fatalf("character %d can be %q, too", i, c)
				}
			}
		}
	}
}

// What is taken for a token is one that could have been made.
func FuzzParseToken(f *testing.F) {
	good, err := newToken(testFingerprint)
	if err != nil {
		f.Fatal(err)
	}
	for _, seed := range []string{good, "", TokenPrefix, good[:50], strings.Repeat("a", len(good)), TokenPrefix + strings.Repeat("=", 108)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		token, err := ParseToken(text)
		if err != nil {
			return
		}
		if raw, err := hex.DecodeString(token.Fingerprint); err != nil || len(raw) != 32 || token.Text != text {
			t.Errorf("%+v, %v", token, err)
		}
	})
}
