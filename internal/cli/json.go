package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"unicode"
	"unicode/utf16"
)

// printJSON writes a value in a line. What is not graphic stands there as an escape, so that no text of somebody else controls
// the terminal; outside of texts, JSON has no such characters.
func printJSON(w io.Writer, value any) error {
	var plain, line bytes.Buffer
	encoder := json.NewEncoder(&plain)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(value); err != nil {
		return err
	}
	for _, r := range plain.String() {
		if unicode.IsGraphic(r) || r == '\n' {
			line.WriteRune(r)
			continue
		}
		for _, unit := range utf16.AppendRune(nil, r) {
			fmt.Fprintf(&line, `\u%04x`, unit)
		}
	}
	_, err := w.Write(line.Bytes())
	return err
}
