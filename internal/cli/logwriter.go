package cli

import (
	"fmt"
	"io"
	"sync"
)

// maxLogLines is how many lines may wait for the log's reader.
const maxLogLines = 4096

// A logWriter passes lines on without ever waiting for whoever reads them: a terminal that is held or a pipe that nobody
// empties must not stop the server. Lines that find no room are dropped, and their number is told when there is room again.
type logWriter struct {
	out   io.Writer
	lines chan []byte
	done  chan struct{}

	mu      sync.Mutex // guards what follows
	dropped int
	closed  bool
}

func newLogWriter(out io.Writer) *logWriter {
	w := &logWriter{out: out, lines: make(chan []byte, maxLogLines), done: make(chan struct{})}
	go w.pass()
	return w
}

func (w *logWriter) pass() {
	defer close(w.done)
	for line := range w.lines {
		w.out.Write(line)
	}
}

// Write takes a line. It never fails.
func (w *logWriter) Write(line []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return len(line), nil
	}
	if w.dropped > 0 && w.put(fmt.Appendf(nil, "%d lines of the log were dropped: nobody took them\n", w.dropped)) {
		w.dropped = 0
	}
	if !w.put(append([]byte(nil), line...)) {
		w.dropped++
	}
	return len(line), nil
}

func (w *logWriter) put(line []byte) bool {
	select {
	case w.lines <- line:
		return true
	default:
		return false
	}
}

// close passes on what waits, unless nobody takes it before patience is over, and stops.
func (w *logWriter) close(patience <-chan struct{}) {
	w.mu.Lock()
	w.closed = true
	close(w.lines)
	w.mu.Unlock()
	select {
	case <-w.done:
	case <-patience:
	}
}
