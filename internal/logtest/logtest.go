// Package logtest is for tests of what is logged.
//
//	var log logtest.Buffer
//	s := start(slog.New(slog.NewTextHandler(&log, nil)))
//	...strings.Contains(log.String(), "refused")...
package logtest

import (
	"bytes"
	"sync"
)

// A Buffer is a log that can be read while it is written. The zero value is empty.
type Buffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

// Write implements io.Writer.
func (b *Buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

// String returns what was written so far.
func (b *Buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}
