package inedo

import (
	"crypto/aes"
	"crypto/cipher"
	"encoding/hex"
	"fmt"
	"io"
)

// A Key is an AES key of 128 or 256 bits. It prints as its size only.
type Key struct {
	bits  int
	block cipher.Block // nil: no key
}

// ParseKey reads 32 or 64 hexadecimal digits, in either case and without separators. They are the key itself: nothing is
// derived. A text that is not a key is ErrKey, and must stop the program: Inedo's agents once went on without encryption.
func ParseKey(s string) (Key, error) {
	raw, err := hex.DecodeString(s)
	if err != nil || len(raw) != 16 && len(raw) != 32 {
		return Key{}, ErrKey
	}
	block, err := aes.NewCipher(raw)
	if err != nil {
		return Key{}, fmt.Errorf("%w: %w", ErrKey, err)
	}
	return Key{bits: 8 * len(raw), block: block}, nil
}

// IsZero reports whether there is no key.
func (k Key) IsZero() bool { return k.block == nil }

// Format implements fmt.Formatter, so that no verb shows a key.
func (k Key) Format(f fmt.State, _ rune) {
	if k.IsZero() {
		io.WriteString(f, "no key")
		return
	}
	fmt.Fprintf(f, "AES-%d key", k.bits)
}
