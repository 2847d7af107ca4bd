package store

import (
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash"
	"io"
	"maps"
	"slices"
	"strconv"
	"time"
)

// The format of a backup is lines of JSON, compressed by gzip:
//
//	{"format":"jackfield-backup","version":1,"schema":1,"time":"2026-11-22T11:12:00Z","entries":1}
//	{"entry":"user.ada","value":"eyJuYW1lIjoiYWRhIn0="}
//	{"file":"ca.key","value":"LS0tLS1CRUdJTi..."}
//	{"journal":"audit","value":"eyJldmVudCI6Im9wZW4ifQ=="}
//	{"lines":4,"sha256":"9f86d08..."}
//
// Values are in base64. Entries come first, by key, then files, then the records of journals. The last line has the number of
// lines before it and the SHA-256 of them, line ends included: a file that was cut short is known by it.
const (
	backupFormat  = "jackfield-backup"
	backupVersion = 1
)

// What a backup may hold.
const (
	MaxFile          = 1 << 20 // bytes, of a file
	MaxFiles         = 64
	MaxBackupEntries = 1 << 20
	maxLine          = MaxFile*4/3 + 1024
)

// Extra is what a backup holds besides entries. The leases of nodes are never part of one.
type Extra struct {
	Files    map[string][]byte  // what the caller keeps elsewhere, such as the keys of the certificate authority
	Journals map[string]Journal // by name
}

// A line of a backup is one of these.
type (
	headerLine struct {
		Format  string    `json:"format"`
		Version int       `json:"version"`
		Schema  int       `json:"schema"`
		Time    time.Time `json:"time"`
		Entries int       `json:"entries"`
	}
	contentLine struct {
		Entry   string `json:"entry,omitempty"`
		File    string `json:"file,omitempty"`
		Journal string `json:"journal,omitempty"`
		Value   []byte `json:"value"`
	}
	endLine struct {
		Lines  int    `json:"lines"`
		SHA256 string `json:"sha256"`
	}
)

// Backup writes all entries and the extra. Others may write meanwhile: each entry is as it was at some moment of the backup.
// What it writes holds secrets.
func Backup(ctx context.Context, s Store, w io.Writer, extra Extra) error {
	if err := checkFiles(extra.Files); err != nil {
		return err
	}
	entries, err := s.List(ctx, "")
	if err != nil {
		return err
	}
	if len(entries) > MaxBackupEntries {
		return fmt.Errorf("%w: there are %d entries, a backup holds %d", ErrInvalid, len(entries), MaxBackupEntries)
	}
	schema, err := schemaOf(entries)
	if err != nil {
		return err
	}
	zip := gzip.NewWriter(w)
	b := &backupWriter{w: zip, hash: sha256.New()}
	b.write(headerLine{backupFormat, backupVersion, schema, time.Now().UTC().Truncate(time.Second), len(entries)})
	for _, e := range entries {
		b.write(contentLine{Entry: e.Key, Value: e.Value})
	}
	for _, name := range slices.Sorted(maps.Keys(extra.Files)) {
		b.write(contentLine{File: name, Value: extra.Files[name]})
	}
	for _, name := range slices.Sorted(maps.Keys(extra.Journals)) {
		b.writeJournal(ctx, name, extra.Journals[name])
	}
	b.write(endLine{b.lines, hex.EncodeToString(b.hash.Sum(nil))})
	if b.err != nil {
		return b.err
	}
	return zip.Close()
}

func schemaOf(entries []Entry) (int, error) {
	for _, e := range entries {
		if e.Key == schemaKey {
			return strconv.Atoi(string(e.Value))
		}
	}
	return Schema, nil
}

func checkFiles(files map[string][]byte) error {
	if len(files) > MaxFiles {
		return fmt.Errorf("%w: %d files, a backup holds %d", ErrInvalid, len(files), MaxFiles)
	}
	for name, data := range files {
		if name == "" || len(name) > MaxKey || len(data) > MaxFile {
			return fmt.Errorf("%w: file %.*q of %d bytes", ErrInvalid, MaxKey, name, len(data))
		}
	}
	return nil
}

// A backupWriter keeps its first error.
type backupWriter struct {
	w     io.Writer
	hash  hash.Hash
	lines int
	err   error
}

func (b *backupWriter) write(line any) {
	if b.err != nil {
		return
	}
	text, err := json.Marshal(line)
	if err != nil {
		b.err = err
		return
	}
	text = append(text, '\n')
	b.hash.Write(text)
	b.lines++
	_, b.err = b.w.Write(text)
}

// journalBatch is how many records are held at once: at most some 32 MiB.
const journalBatch = 64

// writeJournal stops at what was the newest record when it began.
func (b *backupWriter) writeJournal(ctx context.Context, name string, j Journal) {
	first, last, err := j.Bounds(ctx)
	for next := first; b.err == nil && err == nil && next <= last; {
		var records []JournalRecord
		if records, err = j.Read(ctx, next, journalBatch); len(records) == 0 {
			break
		}
		for _, r := range records {
			if r.Sequence <= last {
				b.write(contentLine{Journal: name, Value: r.Data})
			}
		}
		next = records[len(records)-1].Sequence + 1
	}
	if b.err == nil {
		b.err = err
	}
}
