package enrolment

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"encoding/hex"
	"errors"
	"hash/crc32"
	"strings"
)

// TokenPrefix begins the text of every token by which an agent joins. 108 of a-z and 2-7 follow (base32 of RFC 4648 in small
// letters): 32 random bytes, the SHA-256 of the authority's certificate, by which the agent knows the server at the first contact,
// and the first three bytes of the CRC-32 (IEEE) of both.
const TokenPrefix = "jfa_"

const (
	secretBytes   = 32
	bodyBytes     = secretBytes + sha256.Size
	checksumBytes = 3
)

var tokenEncoding = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// A Token is what can be read in the text of one.
type Token struct {
	Text        string
	Fingerprint string // of the authority, 64 hexadecimal digits in lower case
}

// ParseToken reads a token, and says what is wrong with one that was cut off or mistyped, without asking anybody.
func ParseToken(text string) (Token, error) {
	digits, ours := strings.CutPrefix(text, TokenPrefix)
	whole := tokenEncoding.EncodedLen(bodyBytes + checksumBytes)
	switch {
	case !ours:
		return Token{}, errors.New(`this is no token to join with: those begin with "` + TokenPrefix + `"`)
	case len(digits) < whole:
		return Token{}, errors.New("the token is not complete: its end was cut off")
	case len(digits) > whole:
		return Token{}, errors.New("there is more than a token: something follows its end")
	}
	raw, err := tokenEncoding.DecodeString(digits)
	if err != nil || encodeToken(raw[:min(len(raw), bodyBytes)]) != text {
		return Token{}, errors.New("the token is not as it was given out: a character in it is wrong")
	}
	return Token{Text: text, Fingerprint: hex.EncodeToString(raw[secretBytes:bodyBytes])}, nil
}

// newToken makes a token for agents of the authority with that fingerprint.
func newToken(fingerprint string) (string, error) {
	authority, err := hex.DecodeString(fingerprint)
	if err != nil || len(authority) != sha256.Size {
		return "", errors.New("the authority has no fingerprint")
	}
	body := make([]byte, secretBytes, bodyBytes)
	rand.Read(body) // never fails
	return encodeToken(append(body, authority...)), nil
}

func encodeToken(body []byte) string {
	sum := crc32.ChecksumIEEE(body)
	return TokenPrefix + tokenEncoding.EncodeToString(append(body[:len(body):len(body)], byte(sum>>24), byte(sum>>16), byte(sum>>8)))
}

// hashToken returns what is kept of a token, in hexadecimal. With 256 random bits in it there is nothing to try out, so a slow hash
// would add nothing.
func hashToken(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}
