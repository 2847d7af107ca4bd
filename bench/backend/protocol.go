// Package backend is the service behind every forwarder in a benchmark: one TCP port that does what the first byte of a
// connection asks for. It runs in a process of its own, so that client, forwarder and service never share one.
//
// A connection begins with one byte, the operation, and for all but Echo with a number of eight bytes, big-endian. What a
// gate needs to know about the service's end of a connection is kept under that number, and asked for over a connection
// that goes around the forwarder.
package backend

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"io"
	"math/rand/v2"
	"sync"
)

// The operations. The number is a length or the token of an Outcome; where nothing is said it is ignored.
const (
	opEcho      = 'e' // everything goes back, this byte first
	opSend      = 'd' // the number: bytes to send before the end; 0 is without end
	opReceive   = 'u' // read to the end, answer with the SHA-256 of what came
	opDiscard   = 's' // read to the end, count, then end
	opFinish    = 'f' // send a greeting and the end, then read to the end; the number is a token
	opWatch     = 'w' // acknowledge with a byte, then read to the end; the number is a token
	opReset     = 'r' // acknowledge with a byte, read one, reset
	opOutcome   = 'q' // answer with the Outcome kept under this token as JSON, or with nothing
	opDiscarded = 't' // answer with the count of all of that, eight bytes
	opActive    = 'n' // answer with the number of connections open, eight bytes; those of opOutcome, opDiscarded and opActive are none
)

// Greeting is what the service sends before it ends its own direction first.
const Greeting = "the service has finished\n"

// How the client's direction ended, as the service saw it.
const (
	EndInOrder = "end"
	EndReset   = "reset"
)

// An Outcome is what the service saw of a connection.
type Outcome struct {
	Bytes int64  `json:"bytes"`
	Sum   string `json:"sum"` // SHA-256 in hexadecimal
	End   string `json:"end"` // EndInOrder, EndReset, or an error's text
}

// Pattern is what Send repeats: pseudo-random, the same in every process, and of a length that divides no buffer's, so
// that a chunk that is lost, repeated or out of place shows.
var Pattern = sync.OnceValue(func() []byte {
	var seed [32]byte
	copy(seed[:], "jackfield bench")
	p := make([]byte, 1<<20-3)
	_, _ = rand.NewChaCha8(seed).Read(p) // never fails
	return p
})

// WritePattern writes the first n bytes of the pattern, repeated; without end if n is 0.
func WritePattern(w io.Writer, n uint64) error {
	p := Pattern()
	for endless := n == 0; endless || n > 0; {
		chunk := p
		if !endless {
			chunk = p[:min(n, uint64(len(p)))]
			n -= uint64(len(chunk))
		}
		if _, err := w.Write(chunk); err != nil {
			return err
		}
	}
	return nil
}

// PatternSum is the SHA-256 of the first n bytes of the pattern, in hexadecimal; n is not 0.
func PatternSum(n uint64) string {
	h := sha256.New()
	_ = WritePattern(h, n) // a hash takes everything
	return hex.EncodeToString(h.Sum(nil))
}

func header(op byte, number uint64) []byte {
	return binary.BigEndian.AppendUint64([]byte{op}, number)
}
