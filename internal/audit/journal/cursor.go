package journal

import (
	"cmp"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// ErrCursor is wrapped by errors about a cursor that nobody could have got from this journal.
var ErrCursor = errors.New("the cursor is not one of this journal")

// A Cursor is the place of a line in the journal. The zero cursor is no place. As text it is opaque to whoever gets it; it
// stays good when retention removes its line.
type Cursor struct {
	sequence uint64 // of the journal's record; never 0 in a place
	index    int    // of the line in it
}

// maxIndex is more than any record has lines.
const maxIndex = 1 << 20

// ParseCursor reads what [Cursor.String] wrote; the empty text is the zero cursor. The error is ErrCursor.
func ParseCursor(text string) (Cursor, error) {
	if text == "" {
		return Cursor{}, nil
	}
	sequence, index, _ := strings.Cut(text, "-")
	s, err := strconv.ParseUint(sequence, 10, 64)
	i, err2 := strconv.ParseUint(index, 10, 32)
	c := Cursor{sequence: s, index: int(min(i, maxIndex))}
	if err != nil || err2 != nil || s == 0 || c.String() != text {
		return Cursor{}, fmt.Errorf("%w: %.40q", ErrCursor, text)
	}
	return c, nil
}

// String is empty for the zero cursor.
func (c Cursor) String() string {
	if c.IsZero() {
		return ""
	}
	return strconv.FormatUint(c.sequence, 10) + "-" + strconv.Itoa(c.index)
}

// IsZero says whether the cursor is no place.
func (c Cursor) IsZero() bool { return c == Cursor{} }

// Compare returns -1, 0 or 1 as c stands before d, at d, or behind d.
func (c Cursor) Compare(d Cursor) int {
	return cmp.Or(cmp.Compare(c.sequence, d.sequence), cmp.Compare(c.index, d.index))
}

// MarshalText is String.
func (c Cursor) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// UnmarshalText is ParseCursor.
func (c *Cursor) UnmarshalText(text []byte) (err error) {
	*c, err = ParseCursor(string(text))
	return err
}
