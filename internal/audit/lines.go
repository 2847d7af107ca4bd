package audit

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"iter"
	"os"
)

// Window is how many bytes of the file and its predecessors are looked through at a start: those written last.
const Window = 128 << 20

// Lines tells the lines of the file, and before it those of the old files, the oldest first, that stand within the last limit
// bytes. A line ends with its newline and is valid until the next one comes.
//
// Where lines cannot be read it tells an error in their place and goes on behind them. Old files that cannot be opened are
// logged, and they and what is older are taken for gone. Nothing may be written meanwhile.
func (l *Log) Lines(limit int64) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		parts := l.file.parts(limit)
		for i, part := range parts {
			going := readPart(part, yield)
			if !going {
				closeParts(parts[i:])
				return
			}
			part.file.Close()
		}
	}
}

// A part is a file of the audit and where to begin in it.
type part struct {
	file *os.File
	skip int64
}

func closeParts(parts []part) {
	for _, p := range parts {
		p.file.Close()
	}
}

// parts opens the files that hold the last limit bytes, the oldest first.
func (f *lineFile) parts(limit int64) []part {
	var parts []part
	for i := 0; limit > 0; i++ {
		path := f.path
		if i > 0 {
			path = f.old(i)
		}
		file, size, err := openPart(path)
		if err != nil {
			if i == 0 || !os.IsNotExist(err) {
				f.log.Warn("audit log: a file cannot be read: sessions that it tells of are not looked at", "error", err)
			}
			break
		}
		parts = append([]part{{file, max(size-limit, 0)}}, parts...)
		limit -= size
	}
	return parts
}

func openPart(path string) (*os.File, int64, error) {
	info, err := os.Lstat(path)
	if err != nil {
		return nil, 0, err
	}
	if !info.Mode().IsRegular() { // to open a pipe would wait
		return nil, 0, fmt.Errorf("%s is not a regular file", path)
	}
	file, err := os.Open(path)
	return file, info.Size(), err
}

// readPart says whether to go on.
func readPart(p part, yield func([]byte, error) bool) bool {
	before := max(p.skip-1, 0) // so that a line that begins right there is whole
	if _, err := p.file.Seek(before, io.SeekStart); err != nil {
		return yield(nil, err)
	}
	lines := bufio.NewScanner(p.file)
	lines.Buffer(make([]byte, 256<<10), maxTail)
	lines.Split(wholeLines)
	if p.skip > 0 && !lines.Scan() { // the line that began before
		return yieldError(lines.Err(), yield)
	}
	for lines.Scan() {
		if !yield(lines.Bytes(), nil) {
			return false
		}
	}
	return yieldError(lines.Err(), yield)
}

func yieldError(err error, yield func([]byte, error) bool) bool { return err == nil || yield(nil, err) }

// wholeLines leaves an unfinished line at the end away.
func wholeLines(data []byte, atEOF bool) (int, []byte, error) {
	if i := bytes.IndexByte(data, '\n'); i >= 0 {
		return i + 1, data[:i+1], nil
	}
	if atEOF {
		return len(data), nil, nil
	}
	return 0, nil, nil
}
