// Package store says what Jackfield needs of a place that keeps its state: entries with revisions, a watch, leases of nodes,
// and a journal of records. Where that is has a directory below: memory, or jetstream (in data_dir, or a cluster).
//
// Rules that every store keeps, and storetest holds it to:
//   - A write that returned without an error is durable, and seen by every read that begins after it.
//   - A write names the revision that it replaces. Of writers that name the same one, one succeeds; the others get ErrConflict.
//   - A watch gives the present entries first, then each change in the order of revisions. It never leaves one out without
//     saying so: a watch that has lost its place ends with an error, and its user begins anew.
//   - What cannot be known is an error, never a guess: while the store cannot be reached, reads and writes fail with
//     ErrUnavailable, within the deadline of their context or a few seconds. Such a write may have been done.
//
// It does not keep several writes together: what must change at once is one entry.
package store

import (
	"context"
	"errors"
	"io"
	"time"
)

// What can go wrong. Errors wrap these; there is more in them for the log.
var (
	ErrNotFound    = errors.New("there is no such entry")
	ErrExists      = errors.New("the entry exists already")
	ErrConflict    = errors.New("the entry was changed by somebody else")
	ErrUnavailable = errors.New("the store cannot be reached")
	ErrInvalid     = errors.New("a key or value cannot be stored")
)

// What can be stored.
const (
	MaxKey   = 255       // bytes
	MaxValue = 512 << 10 // bytes, of entries and of journal records
	MaxName  = 64        // bytes, of nodes and journals
)

// An Entry is a value under a key. A key is two or more words with dots between them, such as "user.ada"; a word holds letters,
// digits, "-" and "_". The first word is the kind of what is stored.
type Entry struct {
	Key      string
	Value    []byte
	Revision uint64    // grows with every write to the store, whatever the key; never 0
	Written  time.Time // by the clock of the store
}

// A Change is what a watch tells.
type Change struct {
	Entry        // of a deletion: without a value
	Deleted bool // the entry is gone
	Synced  bool // no entry: what was there when the watch began has all been told
}

// A Store keeps entries. It may be used by many goroutines at once.
type Store interface {
	Get(ctx context.Context, key string) (Entry, error)

	// List returns the entries whose keys begin with the prefix, by key. A prefix ends with a dot, or is empty for all.
	List(ctx context.Context, prefix string) ([]Entry, error)

	// Create makes an entry; ErrExists if there is one.
	Create(ctx context.Context, key string, value []byte) (revision uint64, err error)

	// Update replaces the value that has the revision; ErrConflict if the entry has another one or is not there.
	Update(ctx context.Context, key string, value []byte, revision uint64) (uint64, error)

	// Delete removes the entry that has the revision; ErrConflict if it has another one, ErrNotFound if it is not there.
	Delete(ctx context.Context, key string, revision uint64) error

	// Watch tells the entries that are there, then Synced, then each change, until ctx ends.
	Watch(ctx context.Context, prefix string) (Watcher, error)

	// Hold takes the lease of a node and keeps it by renewing it, until the lease is released or lost; ErrExists while
	// somebody else has it. ctx is for the taking alone. The ttl is in whole seconds, see CheckTTL.
	Hold(ctx context.Context, node string, ttl time.Duration) (NodeLease, error)

	// Nodes tells which nodes hold their lease now, and each that comes and goes, as a watch does.
	// The key of an entry is "node." and the name; its value is empty.
	Nodes(ctx context.Context) (Watcher, error)

	// Journal returns the journal of that name, which is made at the first call.
	Journal(ctx context.Context, name string, r Retention) (Journal, error)

	// Close gives up the store. Watches and leases end.
	Close() error
}

// A Watcher is a watch.
type Watcher interface {
	// Next waits for the next change. After an error the watch has ended: that of its context, or ErrUnavailable.
	Next() (Change, error)
	Close()
}

// A NodeLease is a node's sign of life. A node whose lease is lost must stop at once what it may do only while it has it.
type NodeLease interface {
	// Valid says whether the lease is in force: it was renewed within its ttl less a margin, counted on the monotonic clock
	// from the start of the last renewal that succeeded.
	Valid() bool

	// Lost is closed when the lease is not valid any more. It never becomes valid again.
	Lost() <-chan struct{}

	// Release gives the lease up, if it is valid.
	Release(ctx context.Context) error
}

// Retention says what a journal may forget, its oldest records first. Zero is no limit.
type Retention struct {
	MaxAge   time.Duration
	MaxBytes int64
}

// A Journal is a sequence of records that only grows at one end.
type Journal interface {
	// Append adds a record and returns its sequence number, which is larger than those before it.
	Append(ctx context.Context, record []byte) (uint64, error)

	// Bounds returns the sequence numbers of the oldest and the newest record that are there; first > last: it is empty.
	Bounds(ctx context.Context) (first, last uint64, err error)

	// Read returns, in order, at most limit records whose numbers are at least from. Numbers may be left out.
	Read(ctx context.Context, from uint64, limit int) ([]JournalRecord, error)

	// Follow tells every record whose number is at least from, and those that come, until ctx ends.
	Follow(ctx context.Context, from uint64) (JournalReader, error)
}

// A JournalRecord is a record at its place.
type JournalRecord struct {
	Sequence uint64
	Written  time.Time
	Data     []byte
}

// A JournalReader follows a journal.
type JournalReader interface {
	// Next waits for the next record. After an error it has ended.
	Next() (JournalRecord, error)
	io.Closer
}
