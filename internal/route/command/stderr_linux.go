package command

import (
	"bytes"
	"log/slog"
	"os"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
	"golang.org/x/time/rate"
)

// What is logged of one program's standard error. It is always read to its end, so a program never waits for the log.
const (
	maxLine    = 4 << 10 // bytes; the rest of a line is left out
	lineBurst  = 1000    // lines at once
	lineRate   = 10      // lines per second after that
	readSize   = 32 << 10
	lastChunks = 64 // how many reads are made of what a program left in the pipe: more than that is being written now
)

var readBuffers = sync.Pool{New: func() any { return new([readSize]byte) }}

// A stderrLog puts what a program writes to its standard error into the log. Nil is one that nothing comes to.
type stderrLog struct {
	pipe  *os.File
	lines lineLog
	ended bool          // nobody has the other end any more
	done  chan struct{} // closed when nothing more is read
}

// newStderrLog returns the log and the descriptor for the program, which the caller closes.
func newStderrLog(log *slog.Logger) (l *stderrLog, writer int, err error) {
	var pipe [2]int
	if err := unix.Pipe2(pipe[:], unix.O_CLOEXEC); err != nil {
		return nil, -1, os.NewSyscallError("pipe2", err)
	}
	if err := unix.SetNonblock(pipe[0], true); err != nil {
		unix.Close(pipe[0])
		unix.Close(pipe[1])
		return nil, -1, os.NewSyscallError("fcntl", err)
	}
	l = &stderrLog{
		pipe:  os.NewFile(uintptr(pipe[0]), "stderr"),
		lines: lineLog{log: log, limit: rate.NewLimiter(lineRate, lineBurst)},
		done:  make(chan struct{}),
	}
	return l, pipe[1], nil
}

// start begins to read.
func (l *stderrLog) start() {
	if l != nil {
		go l.read()
	}
}

// read reads until the end, or the deadline that close sets and what is in the pipe then.
func (l *stderrLog) read() {
	defer close(l.done)
	raw, err := l.pipe.SyscallConn()
	if err != nil {
		return
	}
	for err == nil && !l.ended {
		err = raw.Read(l.readChunk)
	}
	_ = raw.Control(func(fd uintptr) {
		for chunks := 0; chunks < lastChunks && !l.ended && l.readChunk(fd); chunks++ {
		}
	})
	l.lines.end()
}

// readChunk takes a buffer only while there is something to read. It reports false if there is not.
func (l *stderrLog) readChunk(fd uintptr) bool {
	buffer := readBuffers.Get().(*[readSize]byte)
	defer readBuffers.Put(buffer)
	n, err := unix.Read(int(fd), buffer[:])
	switch {
	case err == unix.EAGAIN:
		return false
	case err == unix.EINTR:
		return true
	case err != nil || n == 0:
		l.ended = true
		return true
	}
	l.lines.write(buffer[:n])
	return true
}

// close logs what is left and returns. Who still has the pipe writes in vain.
func (l *stderrLog) close() {
	if l == nil {
		return
	}
	l.pipe.SetReadDeadline(past)
	<-l.done
	l.pipe.Close()
}

// discard frees a log that was not started.
func (l *stderrLog) discard() {
	if l != nil {
		l.pipe.Close()
	}
}

// A lineLog cuts a stream into lines and logs as many as the limit allows.
type lineLog struct {
	log     *slog.Logger
	limit   *rate.Limiter
	line    []byte // begun; at most maxLine
	dropped int    // lines
}

// write takes a chunk. When a line in it exceeds the limit, those after it are dropped unseen.
func (l *lineLog) write(chunk []byte) {
	for len(chunk) > 0 {
		piece, rest, ended := bytes.Cut(chunk, []byte("\n"))
		l.line = append(l.line, piece[:min(len(piece), maxLine-len(l.line))]...)
		if ended && !l.endLine() {
			lines := bytes.Count(rest, []byte("\n"))
			rest = rest[bytes.LastIndexByte(rest, '\n')+1:]
			l.dropped += lines
		}
		chunk = rest
	}
}

// endLine logs the line that was begun, and reports whether it might.
func (l *lineLog) endLine() bool {
	line := l.line
	l.line = l.line[:0]
	if !l.limit.Allow() {
		l.dropped++
		return false
	}
	l.tellDropped()
	l.log.Info("program wrote to stderr", "line", text(line))
	return true
}

// end logs a last line without a line end, and how many were dropped.
func (l *lineLog) end() {
	if len(l.line) > 0 {
		l.endLine()
	}
	l.tellDropped()
}

func (l *lineLog) tellDropped() {
	if l.dropped > 0 {
		l.log.Warn("program wrote too much to stderr", "lines_dropped", l.dropped)
		l.dropped = 0
	}
}

func text(line []byte) string {
	return strings.ToValidUTF8(string(bytes.TrimSuffix(line, []byte("\r"))), "\uFFFD")
}
