package audit

import (
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"strconv"
	"strings"
)

// file is what a lineFile needs of an [os.File].
type file interface {
	io.WriteCloser
	Stat() (fs.FileInfo, error)
	Truncate(size int64) error
	Sync() error
}

// maxTail is how far back, in bytes, the beginning of an unfinished line is looked for: further than a line is long.
const maxTail = 1 << 20

// A lineFile is a file of whole lines that rotates by size. It has no lock of its own.
type lineFile struct {
	path     string
	maxSize  int64 // 0: never rotated
	keep     int
	log      *slog.Logger
	file     file
	size     int64
	rotateAt int64 // the size above which to rotate; larger than maxSize after a failure
	torn     int   // bytes of a broken line at the end of the file
	closed   bool
}

func openLineFile(opts Options) (*lineFile, error) {
	opened, err := openAppend(opts.Path)
	if err != nil {
		return nil, err
	}
	f := &lineFile{
		path: opts.Path, maxSize: opts.MaxSize, keep: opts.Keep, log: opts.Log,
		file: opened, rotateAt: opts.MaxSize,
	}
	if err := f.recover(opened); err != nil {
		opened.Close()
		return nil, err
	}
	return f, nil
}

// openAppend takes a link in the place of the log for an error: whoever put it there would have us write elsewhere.
func openAppend(path string) (*os.File, error) {
	return os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_APPEND|noFollow, 0o600)
}

// recover finds out how long the file is, and repairs what a crash left of its last line.
func (f *lineFile) recover(opened *os.File) error {
	info, err := opened.Stat()
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return fmt.Errorf("%s is not a regular file", f.path)
	}
	f.size = info.Size()
	tail := make([]byte, min(f.size, maxTail))
	if _, err := opened.ReadAt(tail, f.size-int64(len(tail))); err != nil {
		return err
	}
	rest := tail[bytes.LastIndexByte(tail, '\n')+1:]
	if len(rest) == 0 {
		return nil
	}
	f.log.Warn("audit log: its last line is unfinished", "path", f.path, "bytes", len(rest))
	if !ours(rest) {
		return f.endLine()
	}
	f.torn = len(rest)
	return f.mend()
}

// ours tells the beginning of a line, or the zeros that a crash of the machine leaves, from what somebody else wrote,
// which is not ours to cut off.
func ours(rest []byte) bool {
	const beginning = `{"event":`
	return strings.HasPrefix(string(rest), beginning) || strings.HasPrefix(beginning, string(rest)) || rest[0] == 0
}

// write appends a line, all of it or, with an error, nothing.
func (f *lineFile) write(line []byte) error {
	if f.closed {
		return os.ErrClosed
	}
	if err := f.mend(); err != nil {
		return err
	}
	if f.maxSize > 0 && f.size > 0 && f.size+int64(len(line)) > f.rotateAt {
		f.rotate()
	}
	n, err := f.file.Write(line)
	f.size += int64(n)
	if err == nil {
		return nil
	}
	f.torn = n
	if mending := f.mend(); mending != nil {
		err = fmt.Errorf("%w (and what was written of the line cannot be cut off yet: %w)", err, mending)
	}
	return err
}

// mend cuts off a broken line. Where the file may only grow (chattr +a), it ends the line instead.
func (f *lineFile) mend() error {
	if f.torn == 0 {
		return nil
	}
	err := f.cut()
	if err == nil {
		return nil
	}
	if f.endLine() != nil {
		return err
	}
	f.torn = 0
	return nil
}

func (f *lineFile) endLine() error {
	n, err := f.file.Write([]byte("\n"))
	f.size += int64(n)
	return err
}

// cut trusts the file's true size more than our count: to truncate a file that somebody shortened would lengthen it.
func (f *lineFile) cut() error {
	info, err := f.file.Stat()
	if err != nil {
		return err
	}
	whole := max(info.Size()-int64(f.torn), 0)
	if err := f.file.Truncate(whole); err != nil {
		return err
	}
	f.size, f.torn = whole, 0
	return nil
}

// rotate begins a new file. When that fails, the old one is written on, and the next try comes after it has grown by
// another eighth, so that a lasting fault costs little.
func (f *lineFile) setRotation(maxSize int64, keep int) {
	f.maxSize, f.keep, f.rotateAt = maxSize, keep, maxSize
}

func (f *lineFile) rotate() {
	fresh, err := f.shift()
	if err != nil {
		f.rotateAt = f.size + max(f.maxSize/8, 1)
		f.log.Warn("audit log cannot be rotated: it goes on in the same file", "path", f.path, "size", f.size, "error", err)
		return
	}
	if err := f.file.Close(); err != nil {
		f.log.Warn("audit log: an old file was not closed in order", "path", f.old(1), "error", err)
	}
	f.file, f.size, f.rotateAt = fresh, 0, f.maxSize
}

// shift opens the new file before it renames anything, so that a lack of descriptors, space or permission changes
// nothing. The oldest file is overwritten only when every place is taken.
func (f *lineFile) shift() (*os.File, error) {
	next := f.path + ".new"
	os.Remove(next) // left by a crash
	fresh, err := openAppend(next)
	if err != nil {
		return nil, err
	}
	if err = f.makePlace(); err == nil {
		err = f.swap(next)
	}
	if err != nil {
		fresh.Close()
		os.Remove(next)
		return nil, err
	}
	return fresh, nil
}

func (f *lineFile) makePlace() error {
	free := 1
	for free < f.keep && exists(f.old(free)) {
		free++
	}
	for i := free; i > 1; i-- {
		if err := os.Rename(f.old(i-1), f.old(i)); err != nil {
			return err
		}
	}
	return nil
}

func (f *lineFile) swap(next string) error {
	if err := os.Rename(f.path, f.old(1)); err != nil {
		return err
	}
	if err := os.Rename(next, f.path); err != nil {
		if back := os.Rename(f.old(1), f.path); back != nil {
			return fmt.Errorf("%w; and the records now go to %s: %w", err, f.old(1), back)
		}
		return err
	}
	return nil
}

func (f *lineFile) old(i int) string { return f.path + "." + strconv.Itoa(i) }

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

func (f *lineFile) close() error {
	f.closed = true
	syncing := f.file.Sync()
	if err := f.file.Close(); err != nil {
		return err
	}
	return syncing
}
