package identity

import (
	"strings"
	"testing"

	"pgregory.net/rapid"

	"jackfield"
)

func TestSecretText(t *testing.T) {
	var random [secretBytes]byte
	for i := range random {
		random[i] = byte(i)
	}
	// By Python: base64.b32encode(r + zlib.crc32(r).to_bytes(4, "big")[:3]).lower() of r = bytes(range(32)).
	const want = "jft_aaaqeayeaudaocajbifqydiob4ibceqtcqkrmfyydenbwha5dypzcjt6"
	if got := encodeSecret(random); got != want {
		t.Errorf("got %s", got)
	}
}

func TestSecretsDiffer(t *testing.T) {
	one, other := newSecret(), newSecret()
	if one == other {
		t.Error("two secrets are the same")
	}
}

func TestSecretProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		random := [secretBytes]byte(rapid.SliceOfN(rapid.Byte(), secretBytes, secretBytes).Draw(t, "random"))
		text := encodeSecret(random)
		if err := checkSecret(text); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		cut := rapid.IntRange(0, len(text)-1).Draw(t, "cut")
		if checkSecret(text[:cut]) == nil || checkSecret(text+text[:1+cut]) == nil {
			t.Fatalf("%s was taken with another length", text)
		}
		at := rapid.IntRange(0, len(text)-1).Draw(t, "at")
		other := rapid.Byte().Draw(t, "other")
		if wrong := text[:at] + string([]byte{other}) + text[at+1:]; wrong != text && checkSecret(wrong) == nil {
			t.Fatalf("%q was taken in place of %q", wrong, text)
		}
	})
}

func TestCheckSecretSaysWhy(t *testing.T) {
	good := newSecret()
	for name, c := range map[string]struct{ secret, sentence string }{
		"empty":         {"", "no token of Jackfield"},
		"another":       {"ghp_0123456789012345678901234567890123456789012345678901234567", "no token of Jackfield"},
		"only a prefix": {SecretPrefix, "cut off"},
		"truncated":     {good[:len(good)-1], "cut off"},
		"with more":     {good + "\n", "follows its end"},
		"huge":          {good + strings.Repeat("a", 1<<20), "follows its end"},
		"capitals":      {SecretPrefix + strings.ToUpper(good[len(SecretPrefix):]), "a character in it is wrong"},
		"line ends":     {good[:10] + "\r\n" + good[12:], "a character in it is wrong"},
	} {
		err := checkSecret(c.secret)
		wantKind(t, err, jackfield.Unauthenticated)
		if !strings.Contains(err.Error(), c.sentence) {
			t.Errorf("%s: got %q", name, err)
		}
	}
}

func FuzzCheckSecret(f *testing.F) {
	f.Add(newSecret())
	f.Add("")
	f.Add(SecretPrefix + strings.Repeat("a", 56))
	f.Add(SecretPrefix + strings.Repeat("\n", 56))
	f.Fuzz(func(t *testing.T, text string) {
		if checkSecret(text) != nil {
			return
		}
		raw, err := secretEncoding.DecodeString(strings.TrimPrefix(text, SecretPrefix))
		if err != nil || encodeSecret([secretBytes]byte(raw[:secretBytes])) != text {
			t.Errorf("%q was taken and is written otherwise", text)
		}
	})
}
