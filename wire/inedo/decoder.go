package inedo

import (
	"encoding/binary"
	"fmt"
	"math"
	"time"
	"unicode/utf8"
)

// A Decoder reads the data of a message by the data conventions of the Inedo document. After a mistake it returns zero
// values only, and Err returns the error. What it sets aside is never more than a constant times what there is to read.
//
//	d := inedo.NewDecoder(m.Data)
//	name, size := d.Text(), d.Int64()
//	err := d.Finish()
type Decoder struct {
	rest []byte
	err  error
}

// NewDecoder returns a decoder of data.
func NewDecoder(data []byte) *Decoder { return &Decoder{rest: data} }

// Err returns the first mistake.
func (d *Decoder) Err() error { return d.err }

// Finish is Err, and finds fault with bytes that are left.
func (d *Decoder) Finish() error {
	if len(d.rest) > 0 {
		d.fail("%d bytes too many", len(d.rest))
	}
	return d.err
}

// Byte reads a byte.
func (d *Decoder) Byte() byte {
	if b := d.Raw(1); b != nil {
		return b[0]
	}
	return 0
}

// Int32 reads an int32.
func (d *Decoder) Int32() int32 {
	if b := d.Raw(4); b != nil {
		return int32(binary.LittleEndian.Uint32(b))
	}
	return 0
}

// Int64 reads an int64.
func (d *Decoder) Int64() int64 {
	if b := d.Raw(8); b != nil {
		return int64(binary.LittleEndian.Uint64(b))
	}
	return 0
}

// Text reads a string, which must be UTF-8.
func (d *Decoder) Text() string {
	s := string(d.Raw(d.stringLength()))
	if !utf8.ValidString(s) {
		d.fail("a string that is not UTF-8")
		return ""
	}
	return s
}

// stringLength reads a length of one to five bytes, seven bits in each, the lowest first. As in .NET it need not be the
// shortest form.
func (d *Decoder) stringLength() int {
	var n uint64
	for shift := 0; shift < 5*7; shift += 7 {
		b := d.Byte()
		n |= uint64(b&0x7f) << shift
		if b < 0x80 {
			return d.fits(n)
		}
	}
	d.fail("the length of a string has more than 5 bytes")
	return 0
}

func (d *Decoder) fits(n uint64) int {
	if n > math.MaxInt32 {
		d.fail("a string of %d bytes", n)
		return 0
	}
	return int(n)
}

// Time reads a datetime. The result is UTC.
func (d *Decoder) Time() time.Time {
	ticks := d.Int64()
	if ticks < 0 || ticks > maxTicks {
		d.fail("a time of %d ticks", ticks)
		return time.Time{}
	}
	return time.Unix(ticks/ticksPerSecond-epoch, ticks%ticksPerSecond*nanosecondsPerTick).UTC()
}

// GUID reads a Guid.
func (d *Decoder) GUID() GUID {
	if b := d.Raw(len(GUID{})); b != nil {
		return GUID(b).swap()
	}
	return GUID{}
}

// Bytes reads an array of bytes. They are part of the data that are decoded, not a copy.
func (d *Decoder) Bytes() []byte { return d.Raw(d.Count(1)) }

// Count reads the number of items that follow. Each has at least size bytes (at least 1): more items than there is room for
// are a mistake, so it is safe to make room for as many.
func (d *Decoder) Count(size int) int {
	n := int(d.Int32())
	if n < 0 || n > len(d.rest)/max(size, 1) {
		d.fail("an array of %d items in %d bytes", n, len(d.rest))
		return 0
	}
	return n
}

// Raw reads n bytes as they are. They are part of the data that are decoded, not a copy.
func (d *Decoder) Raw(n int) []byte {
	if d.err == nil && (n < 0 || n > len(d.rest)) {
		d.fail("%d bytes where %d are left", n, len(d.rest))
	}
	if d.err != nil {
		return nil
	}
	b := d.rest[:n:n]
	d.rest = d.rest[n:]
	return b
}

// Rest reads what is left.
func (d *Decoder) Rest() []byte { return d.Raw(len(d.rest)) }

func (d *Decoder) fail(format string, args ...any) {
	if d.err == nil {
		d.err = fmt.Errorf("%w: %s", ErrData, fmt.Sprintf(format, args...))
	}
}

// failWith is fail for an error that says more than that the data are malformed.
func (d *Decoder) failWith(err error) {
	if d.err == nil {
		d.err = err
	}
}
