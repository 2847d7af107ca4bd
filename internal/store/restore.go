package store

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"strconv"
)

// ErrBackup is of what is not a backup, or not a whole one.
var ErrBackup = errors.New("this is not a whole backup")

// Restore makes the entries those of the backup, while the store is in use: entries that are not in it are deleted, and those
// that differ are written, so that watches see what changes. The whole file is read before, and what is wrong with it found
// then. A restore that was cut short can be done again.
//
// Records of a journal are appended to the one of that name in journals, if it is empty; others stay as they are. Files are
// returned.
func Restore(ctx context.Context, s Store, r io.ReadSeeker, journals map[string]Journal) (files map[string][]byte, err error) {
	keys := make(map[string]bool)
	files = make(map[string][]byte)
	err = readBackup(r, func(c contentLine) error {
		switch {
		case c.Entry != "":
			keys[c.Entry] = true
		case c.File != "":
			files[c.File] = c.Value
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	if journals, err = emptyOnes(ctx, journals); err != nil {
		return nil, err
	}
	err = readBackup(r, func(c contentLine) error {
		switch {
		case c.Entry != "":
			return put(ctx, s, c.Entry, c.Value)
		case c.Journal != "" && journals[c.Journal] != nil:
			_, err := journals[c.Journal].Append(ctx, c.Value)
			return err
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	if err := deleteOthers(ctx, s, keys); err != nil { // last, so that what breaks off before has taken nothing away
		return nil, err
	}
	return files, CheckSchema(ctx, s)
}

func emptyOnes(ctx context.Context, journals map[string]Journal) (map[string]Journal, error) {
	empty := make(map[string]Journal)
	for name, j := range journals {
		first, last, err := j.Bounds(ctx)
		if err != nil {
			return nil, err
		}
		if first > last {
			empty[name] = j
		}
	}
	return empty, nil
}

func deleteOthers(ctx context.Context, s Store, keys map[string]bool) error {
	entries, err := s.List(ctx, "")
	if err != nil {
		return err
	}
	for _, e := range entries {
		for !keys[e.Key] {
			err := s.Delete(ctx, e.Key, e.Revision)
			if err == nil || errors.Is(err, ErrNotFound) {
				break
			}
			if !errors.Is(err, ErrConflict) {
				return err
			}
			if e, err = s.Get(ctx, e.Key); errors.Is(err, ErrNotFound) {
				break
			} else if err != nil {
				return err
			}
		}
	}
	return nil
}

// put writes an entry whatever is there.
func put(ctx context.Context, s Store, key string, value []byte) error {
	for {
		e, err := s.Get(ctx, key)
		switch {
		case errors.Is(err, ErrNotFound):
			_, err = s.Create(ctx, key, value)
		case err == nil && bytes.Equal(e.Value, value):
			return nil
		case err == nil:
			_, err = s.Update(ctx, key, value, e.Revision)
		}
		if !errors.Is(err, ErrConflict) && !errors.Is(err, ErrExists) {
			return err
		}
	}
}

// readBackup reads a backup from its beginning. The content is only what it should be when there is no error.
func readBackup(r io.ReadSeeker, tell func(contentLine) error) error {
	if _, err := r.Seek(0, io.SeekStart); err != nil {
		return err
	}
	zip, err := gzip.NewReader(r)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrBackup, err)
	}
	b := &backupReader{lines: bufio.NewScanner(zip), hash: sha256.New()}
	b.lines.Buffer(nil, maxLine)
	if err := b.readHeader(); err != nil {
		return err
	}
	for {
		text, err := b.next()
		if err != nil {
			return err
		}
		if bytes.HasPrefix(text, []byte(`{"lines":`)) {
			break
		}
		c, err := b.content(text)
		if err == nil {
			err = tell(c)
		}
		if err != nil {
			return err
		}
	}
	if err := b.checkEnd(); err != nil {
		return err
	}
	if b.lines.Scan() {
		return fmt.Errorf("%w: something is behind its end", ErrBackup)
	}
	if err := b.lines.Err(); err != nil { // gzip's own end is missing or wrong
		return fmt.Errorf("%w: %w", ErrBackup, err)
	}
	return nil
}

type backupReader struct {
	lines  *bufio.Scanner
	hash   hash.Hash // of the lines before the present one
	line   []byte    // the present one
	number int
	header headerLine
	count  struct{ entries, files int }
	last   string // key of the last entry
}

// next returns a line without its end.
func (b *backupReader) next() ([]byte, error) {
	if b.number > 0 {
		b.hash.Write(b.line)
		b.hash.Write([]byte{'\n'})
	}
	if !b.lines.Scan() {
		err := b.lines.Err()
		if err == nil {
			err = io.ErrUnexpectedEOF
		}
		return nil, fmt.Errorf("%w: line %d: %w", ErrBackup, b.number+1, err)
	}
	b.number++
	b.line = b.lines.Bytes()
	return b.line, nil
}

func (b *backupReader) wrong(format string, args ...any) error {
	return fmt.Errorf("%w: line %d: %s", ErrBackup, b.number, fmt.Sprintf(format, args...))
}

func (b *backupReader) readHeader() error {
	text, err := b.next()
	if err != nil {
		return err
	}
	h := &b.header
	switch err := json.Unmarshal(text, h); {
	case err != nil || h.Format != backupFormat:
		return b.wrong("it does not begin as one")
	case h.Version != backupVersion:
		return b.wrong("its format has version %d, this program knows %d", h.Version, backupVersion)
	case h.Schema > Schema:
		return newerSchema("the backup", h.Schema, Schema)
	case h.Entries < 0 || h.Entries > MaxBackupEntries:
		return b.wrong("it has %d entries, %d are allowed", h.Entries, MaxBackupEntries)
	}
	return nil
}

// checkEnd says whether the present line, the last, is right about those before.
func (b *backupReader) checkEnd() error {
	var end endLine
	switch err := decode(b.line, &end); {
	case err != nil:
		return b.wrong("%v", err)
	case end.Lines != b.number-1 || b.count.entries != b.header.Entries:
		return b.wrong("lines are missing")
	case end.SHA256 != hex.EncodeToString(b.hash.Sum(nil)):
		return b.wrong("the checksum is another one")
	}
	return nil
}

func (b *backupReader) content(text []byte) (c contentLine, err error) {
	if err := decode(text, &c); err != nil {
		return c, b.wrong("%v", err)
	}
	switch {
	case c.Entry != "" && c.File == "" && c.Journal == "":
		b.count.entries++
		err = errors.Join(CheckKey(c.Entry), CheckValue(c.Value))
		if c.Entry <= b.last {
			err = fmt.Errorf("entry %q is not behind %q", c.Entry, b.last)
		}
		b.last = c.Entry
		if version, _ := strconv.Atoi(string(c.Value)); c.Entry == schemaKey && version > Schema {
			err = newerSchema("the backup", version, Schema)
		}
	case c.File != "" && c.Entry == "" && c.Journal == "":
		b.count.files++
		err = checkFiles(map[string][]byte{c.File: c.Value})
	case c.Journal != "" && c.Entry == "" && c.File == "":
		err = errors.Join(CheckName(c.Journal), CheckValue(c.Value))
	default:
		err = errors.New("it is of no known kind")
	}
	if err == nil && (b.count.entries > b.header.Entries || b.count.files > MaxFiles) {
		err = errors.New("there are too many entries or files")
	}
	if err != nil {
		return c, b.wrong("%v", err)
	}
	return c, nil
}

func decode(text []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	return d.Decode(into)
}
