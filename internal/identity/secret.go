package identity

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"encoding/hex"
	"hash/crc32"
	"strings"

	"jackfield"
)

// SecretPrefix begins the text of every token's secret. 56 of a-z and 2-7 follow (base32 of RFC 4648 in small letters): 32 random
// bytes, then the first three bytes of the CRC-32 (IEEE) of those. There is nothing in it that a shell, a URL or a double click
// would split, a scanner finds it by its form, and one that was cut off or mistyped is told apart without asking anybody.
const SecretPrefix = "jft_"

const (
	secretBytes   = 32
	checksumBytes = 3
	secretLength  = len(SecretPrefix) + (secretBytes+checksumBytes)*8/5
	idLength      = 20
)

var secretEncoding = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

func newSecret() string {
	var random [secretBytes]byte
	rand.Read(random[:]) // never fails
	return encodeSecret(random)
}

func encodeSecret(random [secretBytes]byte) string {
	return SecretPrefix + secretEncoding.EncodeToString(append(random[:], checksum(random[:])...))
}

func checksum(random []byte) []byte {
	sum := crc32.ChecksumIEEE(random)
	return []byte{byte(sum >> 24), byte(sum >> 16), byte(sum >> 8)}
}

// checkSecret says whether s could be the secret of a token.
func checkSecret(s string) error {
	text, ours := strings.CutPrefix(s, SecretPrefix)
	switch {
	case !ours:
		return refuse(jackfield.Unauthenticated, `this is no token of Jackfield: those begin with "`+SecretPrefix+`"`)
	case len(s) < secretLength:
		return refuse(jackfield.Unauthenticated, "the token is not complete: its end was cut off")
	case len(s) > secretLength:
		return refuse(jackfield.Unauthenticated, "there is more than a token: something follows its end")
	}
	raw, err := secretEncoding.DecodeString(text)
	if err != nil || len(raw) != secretBytes+checksumBytes || string(checksum(raw[:secretBytes])) != string(raw[secretBytes:]) {
		return refuse(jackfield.Unauthenticated, "the token is not as it was given out: a character in it is wrong")
	}
	return nil
}

// hashSecret returns what is kept of a secret, in hexadecimal: the SHA-256 of its text. With 256 random bits in it there is nothing
// to try out, so a slow hash would add nothing.
func hashSecret(secret string) string {
	sum := sha256.Sum256([]byte(secret))
	return hex.EncodeToString(sum[:])
}

// tokenID is how a token is called, and found: `printf %s SECRET | sha256sum` tells which one was found in a place where it should
// not have been.
func tokenID(hash string) string { return hash[:idLength] }
