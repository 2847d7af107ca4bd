package store

import (
	"fmt"
	"strings"
	"time"
)

// CheckKey says what is wrong with a key; the error is ErrInvalid.
func CheckKey(key string) error {
	if len(key) > MaxKey {
		return fmt.Errorf("%w: a key has %d bytes, %d are allowed", ErrInvalid, len(key), MaxKey)
	}
	first, rest, dotted := strings.Cut(key, ".")
	if !dotted || !isWord(first) || !areWords(rest) {
		return fmt.Errorf("%w: key %q is not two or more words with dots between", ErrInvalid, key)
	}
	return nil
}

// CheckPrefix says what is wrong with a prefix of List and Watch; the error is ErrInvalid.
func CheckPrefix(prefix string) error {
	words, dotted := strings.CutSuffix(prefix, ".")
	if prefix == "" || dotted && len(prefix) <= MaxKey && areWords(words) {
		return nil
	}
	return fmt.Errorf("%w: prefix %.*q is not words that each end with a dot", ErrInvalid, MaxKey, prefix)
}

// CheckValue says what is wrong with a value or a record; the error is ErrInvalid.
func CheckValue(value []byte) error {
	if len(value) > MaxValue {
		return fmt.Errorf("%w: a value has %d bytes, %d are allowed", ErrInvalid, len(value), MaxValue)
	}
	return nil
}

// CheckName says what is wrong with the name of a node or a journal, which is one word of at most MaxName bytes; the error
// is ErrInvalid.
func CheckName(name string) error {
	if len(name) > MaxName || !isWord(name) {
		return fmt.Errorf("%w: name %.*q is not a word of letters, digits, \"-\" and \"_\"", ErrInvalid, MaxName, name)
	}
	return nil
}

// CheckTTL says what is wrong with the ttl of a lease, which is in whole seconds, from one second to one hour; the error is
// ErrInvalid.
func CheckTTL(ttl time.Duration) error {
	if ttl < time.Second || ttl > MaxTTL || ttl%time.Second != 0 {
		return fmt.Errorf("%w: a lease of %s is not one of whole seconds up to %s", ErrInvalid, ttl, MaxTTL)
	}
	return nil
}

func areWords(s string) bool {
	for word := range strings.SplitSeq(s, ".") {
		if !isWord(word) {
			return false
		}
	}
	return true
}

func isWord(s string) bool {
	for i := range len(s) {
		c := s[i]
		if !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '-' || c == '_') {
			return false
		}
	}
	return s != ""
}
