package journal

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"jackfield/internal/audit"
	"jackfield/internal/store"
)

// How a record is written while the store is away.
const (
	firstPause = 100 * time.Millisecond // doubled after each try that fails
	maxPause   = 5 * time.Second
	maxAppend  = 10 * time.Second // what one try may take
)

// gatherTime passes between two records, so that what comes meanwhile is in one: each costs a sync of the store's. Nobody waits for
// it who says so (Flush), or when there is enough for a whole record.
const gatherTime = 20 * time.Millisecond

var errClosed = errors.New("the writer is closed")

// Options say whose lines a writer writes.
type Options struct {
	Server string // the name of the server, with which the ids of its requests begin: "k3vq" of "k3vq-2-7"

	// MaxAge is that of the journal's retention: Recover adds no lines that are older. 0: it is not limited.
	MaxAge time.Duration

	// Log is told once when the journal cannot be written, and once when it can be again.
	Log *slog.Logger
}

// A Writer writes the lines of one server's audit into the journal. It may be used by many goroutines at once.
type Writer struct {
	journal store.Journal
	server  string
	maxAge  time.Duration
	log     *slog.Logger

	stop  context.CancelFunc
	wake  chan struct{} // holds at most one
	haste chan struct{} // holds at most one: somebody waits in Flush
	done  chan struct{} // closed when run has returned

	mu      sync.Mutex // guards what follows
	queue   queue
	added   uint64        // lines that the queue has got
	settled uint64        // lines of these that it has got rid of
	change  chan struct{} // closed, and replaced, when settled grows
	closed  bool

	// Of the goroutine run alone.
	next    uint64 // our next record will not have a smaller number; 0: not known yet
	unsure  bool   // the last try failed, and may have written the record
	failing bool
}

var _ audit.Sink = (*Writer)(nil)

// NewWriter returns a writer, which is to be closed.
func NewWriter(j store.Journal, o Options) *Writer {
	ctx, stop := context.WithCancel(context.Background())
	w := &Writer{
		journal: j, server: o.Server, maxAge: o.MaxAge, log: o.Log,
		stop: stop, wake: make(chan struct{}, 1), haste: make(chan struct{}, 1), done: make(chan struct{}), change: make(chan struct{}),
		queue: queue{header: header{o.Server}.encode()},
	}
	go w.run(ctx)
	return w
}

// Add takes a copy of the line, which ends with a newline. It never waits. What does not fit, and what comes after Close, does
// not get into the journal.
func (w *Writer) Add(line []byte) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return
	}
	w.added += uint64(w.queue.add(line))
	w.rouse()
}

func (w *Writer) rouse() { signal(w.wake) }

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// Flush waits until all that was added before is in the journal.
func (w *Writer) Flush(ctx context.Context) error {
	w.mu.Lock()
	w.added += uint64(w.queue.tellLost())
	w.rouse()
	added := w.added
	w.mu.Unlock()
	for {
		w.mu.Lock()
		settled, change, waiting := w.settled, w.change, w.queue.lines
		w.mu.Unlock()
		if settled >= added {
			return nil
		}
		signal(w.haste)
		select {
		case <-change:
		case <-w.done:
			return fmt.Errorf("%d lines of the audit have waited for the store: %w", waiting, errClosed)
		case <-ctx.Done():
			return fmt.Errorf("%d lines of the audit wait for the store: %w", waiting, context.Cause(ctx))
		}
	}
}

// Close is Flush, and the end of the writer, be it with an error. What is not in the journal then stands in the file, and the
// next Recover adds it.
func (w *Writer) Close(ctx context.Context) error {
	w.mu.Lock()
	w.closed = true
	w.mu.Unlock()
	err := w.Flush(ctx)
	w.stop()
	<-w.done
	return err
}

func (w *Writer) run(ctx context.Context) {
	defer close(w.done)
	for {
		w.mu.Lock()
		b := w.queue.take()
		w.mu.Unlock()
		if b != nil {
			w.settle(b, w.write(ctx, b.data))
			w.gather(ctx)
		}
		if ctx.Err() != nil {
			return
		}
		if b == nil {
			select {
			case <-w.wake:
			case <-ctx.Done():
			}
		}
	}
}

// gather lets lines come together for the next record.
func (w *Writer) gather(ctx context.Context) {
	w.mu.Lock()
	enough := len(w.queue.batches) > 1
	w.mu.Unlock()
	if enough {
		return
	}
	select {
	case <-time.After(gatherTime):
	case <-w.haste:
	case <-ctx.Done():
	}
}

func (w *Writer) settle(b *batch, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if errors.Is(err, store.ErrInvalid) {
		w.queue.lost += b.lines
	} else if err != nil {
		return // the writer ends
	}
	w.queue.settle(b)
	w.settled += uint64(b.lines)
	w.added += uint64(w.queue.tellLost())
	close(w.change)
	w.change = make(chan struct{})
}

// write appends one record, and tries until it is there, the context ends or the store says that it never will be.
func (w *Writer) write(ctx context.Context, record []byte) error {
	for pause := firstPause; ; pause = min(2*pause, maxPause) {
		err := w.try(ctx, record)
		w.report(err)
		if err == nil || errors.Is(err, store.ErrInvalid) {
			return err
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// try appends the record unless the last try did, which failed.
func (w *Writer) try(ctx context.Context, record []byte) error {
	ctx, cancel := context.WithTimeout(ctx, maxAppend)
	defer cancel()
	if w.next == 0 {
		_, last, err := w.journal.Bounds(ctx)
		if err != nil {
			return err
		}
		w.next = last + 1
	}
	if w.unsure {
		written, err := w.find(ctx, record)
		if err != nil {
			return err
		}
		w.unsure = false
		if written {
			return nil
		}
	}
	sequence, err := w.journal.Append(ctx, record)
	if err != nil {
		w.unsure = true
		return err
	}
	w.next = sequence + 1
	return nil
}

// find looks for the record among those that came since ours before.
func (w *Writer) find(ctx context.Context, record []byte) (bool, error) {
	for r, err := range oldestFirst(ctx, w.journal, w.next) {
		if err != nil {
			return false, err
		}
		w.next = r.Sequence + 1
		if bytes.Equal(r.Data, record) {
			return true, nil
		}
	}
	return false, nil
}

func (w *Writer) report(err error) {
	switch failing := err != nil; {
	case failing && !w.failing:
		w.log.Warn("audit cannot be written into the store: it is in the file, and waits", "error", err)
	case !failing && w.failing:
		w.log.Info("audit can be written into the store again")
	}
	w.failing = err != nil
}
