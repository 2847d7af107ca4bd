// Package privatefile reads and writes files that are for their owner alone: keys, tokens, certificates beside them.
//
//	err := privatefile.Replace(path, text)
//	text, err := privatefile.Read(path, "enrol the agent again")
//
// A file that others may read or write is not read: somebody may have done so. One is replaced in one step: who is killed meanwhile
// leaves the old one or the new one, and what Replace returned from stays, even if the machine loses its power.
//
// On Windows the mode of a file says nothing, and is not looked at.
package privatefile

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// MaxSize is the size in bytes of the largest file that is read.
const MaxSize = 1 << 20

// Read reads a file that nobody but its owner may read or write. Advice is what to do if somebody may.
func Read(path, advice string) ([]byte, error) {
	return read(path, advice, func(fs.FileInfo) error { return nil })
}

// ReadOwn is Read of a file that has to be the process's own: what root's processes find in somebody else's home is not theirs.
func ReadOwn(path, advice string) ([]byte, error) {
	return read(path, advice, func(file fs.FileInfo) error {
		if owner, known := Owner(file); known && owner != os.Geteuid() {
			return fmt.Errorf("%s belongs to another user: %s", path, advice)
		}
		return nil
	})
}

func read(path, advice string, check func(fs.FileInfo) error) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	if err := check(info); err != nil {
		return nil, err
	}
	if IsOpen(info) {
		return nil, fmt.Errorf("others may read or write %s: chmod 600 %s; if somebody did, %s", path, path, advice)
	}
	return ReadCapped(file)
}

// ReadCapped reads an open file to its end.
func ReadCapped(file *os.File) ([]byte, error) {
	text, err := io.ReadAll(io.LimitReader(file, MaxSize+1))
	if err == nil && len(text) > MaxSize {
		err = fmt.Errorf("%s has more than %d bytes: it is not what is wanted here", file.Name(), MaxSize)
	}
	return text, err
}

// Replace writes a file in place of one that may be there. Writers of the same file come one after the other.
func Replace(path string, text []byte) error {
	temporary := path + ".new"
	if err := os.Remove(temporary); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	file, err := os.OpenFile(temporary, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	return replace(path, file, text)
}

// ReplaceShared is Replace of a file that several processes may write at once: the text of one of them stays, whole. One that is
// killed leaves a file beside it, whose name begins with a dot.
func ReplaceShared(path string, text []byte) error {
	file, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".new-*") // of mode 0600
	if err != nil {
		return err
	}
	return replace(path, file, text)
}

// replace puts the text into a new file, and that into the place of another one.
func replace(path string, file *os.File, text []byte) error {
	_, err := file.Write(text)
	if err := errors.Join(err, file.Sync(), file.Close()); err != nil {
		return errors.Join(err, os.Remove(file.Name()))
	}
	if err := os.Rename(file.Name(), path); err != nil {
		return errors.Join(err, os.Remove(file.Name()))
	}
	return SyncDir(filepath.Dir(path))
}
