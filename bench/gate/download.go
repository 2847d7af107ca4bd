//go:build linux

package gate

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"

	"jackfield/bench/backend"
)

// download receives size bytes and the end, and compares their checksum.
func download(size uint64) func(context.Context, Path) error {
	return func(ctx context.Context, p Path) error {
		c, err := p.Dial(ctx)
		if err != nil {
			return err
		}
		defer c.Close()
		if err := backend.Send(c, size); err != nil {
			return err
		}
		h := sha256.New()
		n, err := io.Copy(h, c)
		if err != nil {
			return err
		}
		if got := hex.EncodeToString(h.Sum(nil)); got != backend.PatternSum(size) {
			return fmt.Errorf("of %d bytes %d came, or changed ones", size, n)
		}
		return nil
	}
}
