package inedo

import (
	"encoding/binary"
	"fmt"
	"math"
	"time"
	"unicode/utf8"
)

// An Encoder writes the data of a message by the data conventions of the Inedo document. The zero value is ready. After a
// mistake it writes nothing more, and Data returns the error.
//
// An array is Count, then the items.
type Encoder struct {
	buf []byte
	err error
}

// Data returns what was written.
func (e *Encoder) Data() ([]byte, error) {
	if e.err != nil {
		return nil, e.err
	}
	return e.buf, nil
}

// Byte writes a byte.
func (e *Encoder) Byte(b byte) { e.Raw([]byte{b}) }

// Int32 writes an int32.
func (e *Encoder) Int32(n int32) { e.Raw(binary.LittleEndian.AppendUint32(nil, uint32(n))) }

// Int64 writes an int64.
func (e *Encoder) Int64(n int64) { e.Raw(binary.LittleEndian.AppendUint64(nil, uint64(n))) }

// Text writes a string, which must be UTF-8.
func (e *Encoder) Text(s string) {
	if !utf8.ValidString(s) {
		e.fail("a string that is not UTF-8")
	}
	if len(s) > math.MaxInt32 {
		e.fail("a string of %d bytes", len(s))
	}
	e.Raw(binary.AppendUvarint(nil, uint64(len(s))))
	e.Raw([]byte(s))
}

// Time writes a datetime: ticks of 100 ns since the year 1, in UTC. A part of a tick is dropped. The year must be 1 to
// 9999.
func (e *Encoder) Time(t time.Time) {
	if year := t.UTC().Year(); year < 1 || year > 9999 {
		e.fail("a time in the year %d", year)
		return
	}
	e.Int64((t.Unix()+epoch)*ticksPerSecond + int64(t.Nanosecond())/nanosecondsPerTick)
}

// GUID writes a Guid.
func (e *Encoder) GUID(g GUID) {
	wire := g.swap()
	e.Raw(wire[:])
}

// Bytes writes an array of bytes.
func (e *Encoder) Bytes(b []byte) {
	e.Count(len(b))
	e.Raw(b)
}

// Count writes the number of items that follow.
func (e *Encoder) Count(n int) {
	if n < 0 || n > math.MaxInt32 {
		e.fail("an array of %d items", n)
	}
	e.Int32(int32(n))
}

// Raw writes bytes as they are.
func (e *Encoder) Raw(b []byte) {
	if e.err == nil {
		e.buf = append(e.buf, b...)
	}
}

func (e *Encoder) fail(format string, args ...any) {
	if e.err == nil {
		e.err = fmt.Errorf("%w: %s", ErrData, fmt.Sprintf(format, args...))
	}
}

const (
	epoch              = 62135596800 // seconds from the year 1 to 1970
	ticksPerSecond     = 10_000_000
	nanosecondsPerTick = 100
	maxTicks           = 3155378975999999999 // the last one of the year 9999
)
