package journal

import (
	"encoding/json"
	"errors"
	"testing"
)

func TestParseCursorRefuses(t *testing.T) {
	for _, text := range []string{
		"-", "1", "1-", "-1", "0-0", "01-1", "1-01", "+1-1", "1-+1", "1-1-1", " 1-1", "1-1 ", "1--1", "1-1048577", "1-4294967296",
		"18446744073709551616-0", "x-1", "1-x", "1_0-1", "\x00",
	} {
		if c, err := ParseCursor(text); !errors.Is(err, ErrCursor) {
			t.Errorf("%q is read as %v: %v", text, c, err)
		}
	}
}

func TestACursorIsTextInJSON(t *testing.T) {
	var got struct{ A, B Cursor }
	if err := json.Unmarshal([]byte(`{"A":"12-3","B":""}`), &got); err != nil {
		t.Fatal(err)
	}
	if got.A != (Cursor{12, 3}) || !got.B.IsZero() {
		t.Errorf("read as %v", got)
	}
	if text, err := json.Marshal(got); err != nil || string(text) != `{"A":"12-3","B":""}` {
		t.Errorf("written as %s: %v", text, err)
	}
}

func FuzzParseCursor(f *testing.F) {
	for _, text := range []string{"", "1-0", "18446744073709551615-1048576", "7-255"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if c, err := ParseCursor(text); err == nil && c.String() != text {
			t.Errorf("%q is read as %q", text, c)
		}
	})
}
