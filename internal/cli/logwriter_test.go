package cli

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"strings"
	"testing"
)

func TestLogWriterPassesLinesOn(t *testing.T) {
	var out bytes.Buffer
	w := newLogWriter(&out)
	for i := range 3 {
		fmt.Fprintf(w, "line %d\n", i)
	}
	w.close(t.Context().Done())
	if got, want := out.String(), "line 0\nline 1\nline 2\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if n, err := io.WriteString(w, "late\n"); n != 5 || err != nil {
		t.Errorf("a line after the end: %d, %v", n, err)
	}
}

// Whoever writes to a log that nobody reads goes on, and the reader learns what is missing.
func TestLogWriterNeverWaits(t *testing.T) {
	reader, stuck := io.Pipe()
	w := newLogWriter(stuck)
	const extra = 10
	for range maxLogLines + 1 + extra { // one is in the hands of the stuck write, or about to be
		io.WriteString(w, "line\n")
	}
	over, cancel := context.WithCancel(t.Context())
	cancel()
	w.close(over.Done()) // does not wait for the reader either

	got := make(chan string)
	go func() {
		text, _ := io.ReadAll(reader)
		got <- string(text)
	}()
	<-w.done
	stuck.Close()
	lines := strings.Count(<-got, "line\n")
	if lines < maxLogLines || lines > maxLogLines+1 || lines+w.dropped != maxLogLines+1+extra {
		t.Errorf("%d lines arrived and %d were dropped, of %d", lines, w.dropped, maxLogLines+1+extra)
	}
}
