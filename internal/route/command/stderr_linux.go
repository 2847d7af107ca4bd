package command

import (
	"log/slog"
	"os"
	"sync"

	"golang.org/x/sys/unix"

	"jackfield/internal/linelog"
)

// How a program's standard error is read: always to its end, so that a program never waits for the log.
const (
	readSize   = 32 << 10
	lastChunks = 64 // how many reads are made of what a program left in the pipe: more than that is being written now
)

var readBuffers = sync.Pool{New: func() any { return new([readSize]byte) }}

// A stderrLog puts what a program writes to its standard error into the log. Nil is one that nothing comes to.
type stderrLog struct {
	pipe  *os.File
	lines *linelog.Log
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
		lines: linelog.New(log),
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
	l.lines.End()
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
	l.lines.Write(buffer[:n])
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
