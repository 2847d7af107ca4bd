package jetstream

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"jackfield/internal/store"
)

// What was found out about JetStream the hard way: a test for each.

// With more values than one of a key, one of a second lived for three, and its end was not told.
func TestExpiryIsToldInTime(t *testing.T) {
	s := openDir(t, t.TempDir())
	w := nodes(t, s)
	start := time.Now()
	if _, err := s.nodes.create(t.Context(), "node.edge", nil, time.Second); err != nil {
		t.Fatal(err)
	}
	c, err := w.Next()
	if err == nil && !c.Deleted { // where the machine was held up for all of its time, there is only its end to tell
		c, err = w.Next()
	}
	if err != nil || c.Key != "node.edge" || !c.Deleted {
		t.Fatalf("the watch told %+v (%v)", c, err)
	}
	if took := time.Since(start); took < 900*time.Millisecond {
		t.Errorf("it was there for %s", took)
	}
	if c := s.nodes.stream.CachedInfo().Config; c.MaxMsgsPerSubject != 1 {
		t.Errorf("%d values of a key are kept", c.MaxMsgsPerSubject)
	}
}

func nodes(t *testing.T, s *Store) store.Watcher {
	t.Helper()
	w, err := s.Nodes(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.Close)
	if c, err := w.Next(); err != nil || !c.Synced {
		t.Fatalf("%+v (%v)", c, err)
	}
	return w
}

func wantNode(t *testing.T, w store.Watcher, gone bool) {
	t.Helper()
	c, err := w.Next()
	if err != nil || c.Key != "node.edge" || c.Deleted != gone {
		t.Fatalf("the watch told %+v (%v)", c, err)
	}
}

// The marker of an expiry must not live longer than the shortest TTL, and goes itself.
func TestExpiryLeavesNothing(t *testing.T) {
	s := openDir(t, t.TempDir())
	if c := s.nodes.stream.CachedInfo().Config; c.SubjectDeleteMarkerTTL != time.Second {
		t.Errorf("markers live for %s", c.SubjectDeleteMarkerTTL)
	}
	if _, err := s.nodes.create(t.Context(), "node.edge", nil, time.Second); err != nil {
		t.Fatal(err)
	}
	lease, err := s.Hold(t.Context(), "west", time.Second)
	if err != nil {
		t.Fatal(err)
	}
	if err := lease.Release(t.Context()); err != nil {
		t.Fatal(err)
	}
	eventually(t, "nothing is left", func() bool { return messages(t, s.nodes) == 0 })
}

func messages(t *testing.T, b *bucket) uint64 {
	t.Helper()
	info, err := b.info(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	return info.State.Msgs
}

// TTLs are whole seconds, one at least: JetStream would round others.
func TestTTLIsWholeSeconds(t *testing.T) {
	s := openDir(t, t.TempDir())
	for _, ttl := range []time.Duration{time.Millisecond, 999 * time.Millisecond, 2500 * time.Millisecond} {
		if _, err := s.Hold(t.Context(), "edge", ttl); !errors.Is(err, store.ErrInvalid) {
			t.Errorf("%s: %v", ttl, err)
		}
	}
}

// An update through NATS's bucket would drop the TTL, and the node would seem to live for ever.
func TestRenewalKeepsTTL(t *testing.T) {
	t.Parallel()
	s := openDir(t, t.TempDir())
	h := &hold{bucket: s.nodes, key: "node.edge", id: "me", ttl: 6 * time.Second}
	var err error
	if h.revision, err = s.nodes.create(t.Context(), h.key, []byte(h.id), h.ttl); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := h.renew(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	w, err := s.Nodes(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	wantNode(t, w, false)
	if c, err := w.Next(); err != nil || !c.Synced {
		t.Fatalf("%+v (%v)", c, err)
	}
	wantNode(t, w, true)
	if err := h.renew(t.Context()); !errors.Is(err, store.ErrConflict) {
		t.Errorf("renewed after its end: %v", err)
	}
}

// Two servers in one directory would destroy it.
func TestTwoProcesses(t *testing.T) {
	dir := t.TempDir()
	s := openDir(t, dir)
	for range 2 {
		_, err := Open(t.Context(), Options{Dir: dir})
		want := "another process (pid " + strconv.Itoa(os.Getpid()) + ") uses the directory " + filepath.Join(dir, "store")
		if err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Fatalf("the second store: %v", err)
		}
	}
	if _, err := s.Create(t.Context(), "user.ada", nil); err != nil {
		t.Errorf("the first store: %v", err)
	}
	s.Close()
	openDir(t, dir)
}

// JetStream says of a stale revision what it says of a key that exists.
func TestStaleRevisionIsNotKeyExists(t *testing.T) {
	s := openDir(t, t.TempDir())
	revision, err := s.Create(t.Context(), "user.ada", nil)
	if err != nil {
		t.Fatal(err)
	}
	_, err = s.Create(t.Context(), "user.ada", nil)
	if !errors.Is(err, store.ErrExists) || errors.Is(err, store.ErrConflict) {
		t.Errorf("create: %v", err)
	}
	for _, stale := range []uint64{0, revision + 1} {
		_, err = s.Update(t.Context(), "user.ada", nil, stale)
		if !errors.Is(err, store.ErrConflict) || errors.Is(err, store.ErrExists) {
			t.Errorf("update: %v", err)
		}
		_, err = s.entries.write(t.Context(), edit{key: "user.ada", after: stale})
		if !errors.Is(err, store.ErrConflict) || errors.Is(err, store.ErrExists) {
			t.Errorf("update, the entry not read before: %v", err)
		}
	}
}

// A follower that is behind must not answer, also in a bucket that somebody else has made.
func TestOnlyTheLeaderAnswers(t *testing.T) {
	dir := t.TempDir()
	s := openDir(t, dir)
	for _, b := range []*bucket{s.entries, s.nodes} {
		c := b.stream.CachedInfo().Config
		if c.AllowDirect {
			t.Errorf("%s allows direct gets", c.Name)
		}
		c.AllowDirect = true
		if _, err := s.js.UpdateStream(t.Context(), c); err != nil {
			t.Fatal(err)
		}
	}
	s.Close()
	s = openDir(t, dir)
	for _, b := range []*bucket{s.entries, s.nodes} {
		if b.stream.CachedInfo().Config.AllowDirect {
			t.Errorf("%s allows direct gets", b.subject)
		}
	}
}

// A tombstone with a TTL would uncover the values before it; without one it would stay for ever.
func TestDeletedKeysAreSweptAway(t *testing.T) {
	s := openDir(t, t.TempDir())
	for _, key := range []string{"user.ada", "user.bob", "user.cyd"} {
		revision, err := s.Create(t.Context(), key, nil)
		if err == nil && key != "user.cyd" {
			revision, err = s.Update(t.Context(), key, nil, revision)
		}
		if err == nil && key != "user.cyd" {
			err = s.Delete(t.Context(), key, revision)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	last, err := s.Create(t.Context(), "user.bob", []byte("again"))
	if err != nil {
		t.Fatal(err)
	}
	if n, err := s.entries.sweep(t.Context(), time.Hour); n != 0 || err != nil {
		t.Errorf("%d were swept away before their time (%v)", n, err)
	}
	if n, err := s.entries.sweep(t.Context(), 0); n != 1 || err != nil {
		t.Errorf("%d were swept away (%v)", n, err)
	}
	if n := messages(t, s.entries); n != 5 { // bob, updated, deleted, again; cyd
		t.Errorf("%d messages are left", n)
	}
	if _, err := s.Get(t.Context(), "user.ada"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("what was swept away: %v", err)
	}
	if e, err := s.Get(t.Context(), "user.bob"); err != nil || e.Revision != last || string(e.Value) != "again" {
		t.Errorf("what was made again: %+v (%v)", e, err)
	}
}

// Revisions are sequence numbers of a stream; they go on when it is empty, and opened again.
func TestRevisionsGrowBeyondTheEnd(t *testing.T) {
	dir := t.TempDir()
	last := uint64(0)
	for range 3 {
		s := openDir(t, dir)
		revision, err := s.Create(t.Context(), "user.ada", nil)
		if err != nil {
			t.Fatal(err)
		}
		if revision <= last {
			t.Errorf("revision %d follows %d", revision, last)
		}
		last = revision
		if err := s.Delete(t.Context(), "user.ada", revision); err != nil {
			t.Fatal(err)
		}
		if _, err := s.entries.sweep(t.Context(), 0); err != nil {
			t.Fatal(err)
		}
		s.Close()
	}
}

// A watch that is further behind than the values that are kept of a key says so.
func TestWatchLosesItsPlace(t *testing.T) {
	s := openDir(t, t.TempDir())
	w, err := s.Watch(t.Context(), "user.")
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	revision, err := s.Create(t.Context(), "user.ada", nil)
	for i := 0; err == nil && i < 2*history; i++ {
		revision, err = s.Update(t.Context(), "user.ada", nil, revision)
	}
	if err != nil {
		t.Fatal(err)
	}
	if c, err := w.Next(); err != nil || !c.Synced {
		t.Fatalf("%+v (%v)", c, err)
	}
	for range 2 {
		if c, err := w.Next(); !errors.Is(err, store.ErrUnavailable) {
			t.Errorf("it told %+v (%v)", c, err)
		}
	}
}

// Nobody else has the directory, so leases in it are those of an earlier life.
func TestLeaseOfAnEarlierLife(t *testing.T) {
	dir := t.TempDir()
	s := openDir(t, dir)
	if _, err := s.nodes.create(t.Context(), "node.edge", nil, time.Hour); err != nil {
		t.Fatal(err)
	}
	s.Close()
	if _, err := openDir(t, dir).Hold(t.Context(), "edge", time.Second); err != nil {
		t.Error(err)
	}
}

// The server's own words are few: nothing while all is well. (It does say so where the machine holds it up.)
func TestQuiet(t *testing.T) {
	var log strings.Builder
	dir := t.TempDir()
	for range 2 {
		s, err := Open(t.Context(), Options{Dir: dir, Log: slog.New(slog.NewTextHandler(&log, nil))})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Journal(t.Context(), "audit", store.Retention{}); err != nil {
			t.Fatal(err)
		}
		s.Close()
	}
	for line := range strings.Lines(log.String()) {
		if !strings.Contains(line, "took too long") && !strings.Contains(line, "processing time") {
			t.Error(line)
		}
	}
}

// A faulty JetStream loses the answer of the next publications, or these themselves.
type faulty struct {
	jetstream.JetStream
	faults []fault
}

type fault struct {
	lost bool   // the request is lost, too
	then func() // what others do then
}

func (f *faulty) PublishMsg(ctx context.Context, m *nats.Msg, o ...jetstream.PublishOpt) (*jetstream.PubAck, error) {
	if len(f.faults) == 0 {
		return f.JetStream.PublishMsg(ctx, m, o...)
	}
	next := f.faults[0]
	f.faults = f.faults[1:]
	if !next.lost {
		if _, err := f.JetStream.PublishMsg(ctx, m, o...); err != nil {
			return nil, err
		}
	}
	if next.then != nil {
		next.then()
	}
	return nil, context.DeadlineExceeded
}

func newFaulty(t *testing.T) (*Store, *faulty) {
	s := openDir(t, t.TempDir())
	f := &faulty{JetStream: s.js}
	s.js = f
	return s, f
}

// After a timeout a write is looked for by its nonce, at the leader, and done again if it is not there.
func TestLostAnswer(t *testing.T) {
	for name, faults := range map[string][]fault{
		"the answer":                     {{}},
		"the request":                    {{lost: true}},
		"both in turn":                   {{lost: true}, {}},
		"the request, again and again":   {{lost: true}, {lost: true}, {lost: true}},
		"the answer, and so the request": {{}, {}},
	} {
		t.Run(name, func(t *testing.T) {
			s, f := newFaulty(t)
			f.faults = faults
			first, err := s.Create(t.Context(), "user.ada", []byte("1"))
			if err != nil {
				t.Fatal(err)
			}
			f.faults = faults
			second, err := s.Update(t.Context(), "user.ada", []byte("2"), first)
			if err != nil {
				t.Fatal(err)
			}
			if e, err := s.Get(t.Context(), "user.ada"); err != nil || e.Revision != second || second != first+1 {
				t.Errorf("revisions %d and %d, then %+v (%v)", first, second, e, err)
			}
			f.faults = faults
			if err := s.Delete(t.Context(), "user.ada", second); err != nil {
				t.Error(err)
			}
			if n := messages(t, s.entries); n != 3 {
				t.Errorf("there are %d messages", n)
			}
		})
	}
}

// When others have written since, what can be known is known, and what cannot is an error.
func TestLostAnswerAmongOthers(t *testing.T) {
	s, f := newFaulty(t)
	first, err := s.Create(t.Context(), "user.ada", []byte("1"))
	if err != nil {
		t.Fatal(err)
	}
	replace := func() {
		e, err := s.Get(t.Context(), "user.ada")
		if err == nil {
			_, err = s.Update(t.Context(), "user.ada", []byte("theirs"), e.Revision)
		}
		if err != nil {
			t.Error(err)
		}
	}
	f.faults = []fault{{then: replace}}
	second, err := s.Update(t.Context(), "user.ada", []byte("2"), first)
	if err != nil || second != first+1 {
		t.Errorf("written, then replaced: revision %d follows %d (%v)", second, first, err)
	}
	third := second + 1
	f.faults = []fault{{lost: true, then: replace}}
	_, err = s.Update(t.Context(), "user.ada", []byte("3"), third)
	if !errors.Is(err, store.ErrConflict) {
		t.Errorf("lost, while others wrote: %v", err)
	}
	f.faults = []fault{{lost: true, then: func() {
		for range history {
			replace()
		}
	}}}
	_, err = s.Update(t.Context(), "user.ada", []byte("4"), third+1)
	if !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("lost, and so much was written that the key has forgotten what it was to follow: %v", err)
	}
	if e, err := s.Get(t.Context(), "user.ada"); err != nil || string(e.Value) != "theirs" {
		t.Errorf("%+v (%v)", e, err)
	}
}

func TestLostAnswerOfAppend(t *testing.T) {
	s, f := newFaulty(t)
	j, err := s.Journal(t.Context(), "audit", store.Retention{})
	if err != nil {
		t.Fatal(err)
	}
	for i, faults := range [][]fault{{{}}, {{lost: true}}, {{}, {}, {lost: true}}} {
		f.faults = faults
		if n, err := j.Append(t.Context(), []byte("x")); err != nil || n != uint64(i+1) {
			t.Errorf("record %d has number %d (%v)", i+1, n, err)
		}
	}
	if _, last, err := j.Bounds(t.Context()); err != nil || last != 3 {
		t.Errorf("the last record has number %d (%v)", last, err)
	}
}

// A renewal whose answer is lost for good does not lose the lease: the next one finds it by its holder.
func TestLostAnswerOfRenewal(t *testing.T) {
	s, f := newFaulty(t)
	h := &hold{bucket: s.nodes, key: "node.edge", id: "me", ttl: time.Minute}
	var err error
	if h.revision, err = s.nodes.create(t.Context(), h.key, []byte(h.id), h.ttl); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	f.faults = []fault{{then: cancel}}
	if err := h.renew(ctx); err == nil {
		t.Fatal("it was renewed")
	}
	if err := h.renew(t.Context()); err != nil {
		t.Error(err)
	}
	if err := h.release(t.Context()); err != nil {
		t.Error(err)
	}
	other := &hold{bucket: s.nodes, key: "node.edge", id: "other", ttl: time.Minute}
	if other.revision, err = s.nodes.create(t.Context(), h.key, []byte(other.id), h.ttl); err != nil {
		t.Fatal(err)
	}
	for name, err := range map[string]error{"renewed": h.renew(t.Context()), "released": h.release(t.Context())} {
		if !errors.Is(err, store.ErrConflict) {
			t.Errorf("%s what another holds: %v", name, err)
		}
	}
}

// nats-server gives a stream up at the first write that fails, so none is tried on a full disk.
func TestFullDisk(t *testing.T) {
	s := openDir(t, t.TempDir())
	j, err := s.Journal(t.Context(), "audit", store.Retention{})
	if err != nil {
		t.Fatal(err)
	}
	revision, err := s.Create(t.Context(), "user.ada", nil)
	if err != nil {
		t.Fatal(err)
	}
	free := s.embedded.free
	s.embedded.free = func(string) (uint64, error) { return minFree - 1, nil }
	for name, write := range map[string]func() error{
		"create": func() error { _, err := s.Create(t.Context(), "user.bob", nil); return err },
		"update": func() error { _, err := s.Update(t.Context(), "user.ada", nil, revision); return err },
		"delete": func() error { return s.Delete(t.Context(), "user.ada", revision) },
		"hold":   func() error { _, err := s.Hold(t.Context(), "edge", time.Second); return err },
		"append": func() error { _, err := j.Append(t.Context(), nil); return err },
	} {
		if err := write(); !errors.Is(err, store.ErrUnavailable) || !strings.Contains(err.Error(), "disk") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if e, err := s.Get(t.Context(), "user.ada"); err != nil || e.Revision != revision {
		t.Errorf("%+v (%v)", e, err)
	}
	s.embedded.free = free
	if _, err := s.Update(t.Context(), "user.ada", nil, revision); err != nil {
		t.Errorf("there is room again: %v", err)
	}
}
