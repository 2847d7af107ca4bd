package storetest

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"jackfield/internal/store"
)

func testRevisions(t *testing.T, s store.Store) {
	first := create(t, s, "user.ada", "1")
	second := create(t, s, "user.bob", "1")
	third := update(t, s, "user.ada", "2", first)
	if !(0 < first && first < second && second < third) {
		t.Errorf("revisions are %d, %d, %d", first, second, third)
	}
	e := get(t, s, "user.ada")
	if e.Key != "user.ada" || string(e.Value) != "2" || e.Revision != third {
		t.Errorf("the entry is %+v", e)
	}
	wantRecent(t, e.Written)
	_, err := s.Get(brief(t), "user.eve")
	wantErr(t, err, store.ErrNotFound)
}

func testCreate(t *testing.T, s store.Store) {
	first := create(t, s, "user.ada", "1")
	_, err := s.Create(brief(t), "user.ada", []byte("2"))
	wantErr(t, err, store.ErrExists)
	remove(t, s, "user.ada", first)
	again := create(t, s, "user.ada", "3")
	if again <= first {
		t.Errorf("revision %d follows %d", again, first)
	}
	if e := get(t, s, "user.ada"); string(e.Value) != "3" {
		t.Errorf("the entry is %+v", e)
	}
}

func testUpdate(t *testing.T, s store.Store) {
	first := create(t, s, "user.ada", "1")
	second := update(t, s, "user.ada", "2", first)
	for name, revision := range map[string]uint64{"none": 0, "stale": first, "future": second + 1, "huge": 1<<64 - 1} {
		_, err := s.Update(brief(t), "user.ada", []byte("3"), revision)
		if !errors.Is(err, store.ErrConflict) {
			t.Errorf("%s revision: %v", name, err)
		}
	}
	_, err := s.Update(brief(t), "user.eve", nil, 0)
	wantErr(t, err, store.ErrConflict)
	remove(t, s, "user.ada", second)
	for revision := range second + 3 { // that of the deletion is among them
		_, err := s.Update(brief(t), "user.ada", []byte("4"), revision)
		wantErr(t, err, store.ErrConflict)
	}
	_, err = s.Get(brief(t), "user.ada")
	wantErr(t, err, store.ErrNotFound)
}

func testDelete(t *testing.T, s store.Store) {
	wantErr(t, s.Delete(brief(t), "user.ada", 1), store.ErrNotFound)
	first := create(t, s, "user.ada", "1")
	second := update(t, s, "user.ada", "2", first)
	wantErr(t, s.Delete(brief(t), "user.ada", first), store.ErrConflict)
	wantErr(t, s.Delete(brief(t), "user.ada", 0), store.ErrConflict)
	remove(t, s, "user.ada", second)
	wantErr(t, s.Delete(brief(t), "user.ada", second), store.ErrNotFound)
	_, err := s.Get(brief(t), "user.ada")
	wantErr(t, err, store.ErrNotFound)
}

func testList(t *testing.T, s store.Store) {
	for _, key := range []string{"user.bob", "user.ada", "users.x", "user.ada.token", "token.1"} {
		create(t, s, key, "of "+key)
	}
	remove(t, s, "user.bob", get(t, s, "user.bob").Revision)
	create(t, s, "user.cyd", "of user.cyd")
	for prefix, want := range map[string][]string{
		"":          {"token.1", "user.ada", "user.ada.token", "user.cyd", "users.x"},
		"user.":     {"user.ada", "user.ada.token", "user.cyd"},
		"user.ada.": {"user.ada.token"},
		"nobody.":   nil,
	} {
		entries, err := s.List(brief(t), prefix)
		if err != nil {
			t.Fatal(err)
		}
		var keys []string
		for _, e := range entries {
			keys = append(keys, e.Key)
			if string(e.Value) != "of "+e.Key || e.Revision == 0 {
				t.Errorf("%q has %+v", prefix, e)
			}
			wantRecent(t, e.Written)
		}
		if !slices.Equal(keys, want) {
			t.Errorf("%q has %q, not %q", prefix, keys, want)
		}
	}
}

func testInvalid(t *testing.T, s store.Store) {
	for _, key := range []string{"", "user", ".", "user.", ".ada", "user..ada", "user.*", "user.>", "user.a b", "user.ä", "a.b\n",
		"$KV.x", "a." + strings.Repeat("x", store.MaxKey-1)} {
		_, err := s.Get(brief(t), key)
		wantErr(t, err, store.ErrInvalid)
		_, err = s.Create(brief(t), key, nil)
		wantErr(t, err, store.ErrInvalid)
		_, err = s.Update(brief(t), key, nil, 1)
		wantErr(t, err, store.ErrInvalid)
		wantErr(t, s.Delete(brief(t), key, 1), store.ErrInvalid)
	}
	for _, prefix := range []string{"user", ".", "user..", "user.a", "*.", "user.>", ">", strings.Repeat("x", store.MaxKey) + "."} {
		_, err := s.List(brief(t), prefix)
		wantErr(t, err, store.ErrInvalid)
		_, err = s.Watch(brief(t), prefix)
		wantErr(t, err, store.ErrInvalid)
	}
	tooLarge := make([]byte, store.MaxValue+1)
	_, err := s.Create(brief(t), "user.ada", tooLarge)
	wantErr(t, err, store.ErrInvalid)
	revision := create(t, s, "user.ada", "")
	_, err = s.Update(brief(t), "user.ada", tooLarge, revision)
	wantErr(t, err, store.ErrInvalid)
}

func testMaxima(t *testing.T, s store.Store) {
	key := "a." + strings.Repeat("x", store.MaxKey-2)
	value := bytes.Repeat([]byte{0xff, 0, '\r', '\n'}, store.MaxValue/4)
	w := watch(t, s, "")
	w.synced()
	first, err := s.Create(brief(t), key, value)
	if err != nil {
		t.Fatal(err)
	}
	if c := w.next(); c.Key != key || !bytes.Equal(c.Value, value) {
		t.Errorf("the watch told of %.20q with %d bytes", c.Key, len(c.Value))
	}
	if e := get(t, s, key); !bytes.Equal(e.Value, value) {
		t.Errorf("the value has %d bytes", len(e.Value))
	}
	update(t, s, key, "", first)
	if e := get(t, s, key); len(e.Value) != 0 {
		t.Errorf("the value has %d bytes", len(e.Value))
	}
}

func testAliasing(t *testing.T, s store.Store) {
	value := []byte("value")
	if _, err := s.Create(brief(t), "user.ada", value); err != nil {
		t.Fatal(err)
	}
	copy(value, "spoil")
	e := get(t, s, "user.ada")
	copy(e.Value, "alter")
	if e := get(t, s, "user.ada"); string(e.Value) != "value" {
		t.Errorf("the value is %q", e.Value)
	}
}

const writers = 8

// together calls do for each writer at the same time.
func together(do func(writer int)) {
	var wg sync.WaitGroup
	for i := range writers {
		wg.Go(func() { do(i) })
	}
	wg.Wait()
}

func testOneWins(t *testing.T, s store.Store) {
	ctx := brief(t)
	var errs [writers]error
	wantOne := func(what string, refusals ...error) {
		t.Helper()
		won := 0
		for _, err := range errs {
			switch {
			case err == nil:
				won++
			case !slices.ContainsFunc(refusals, func(r error) bool { return errors.Is(err, r) }):
				t.Errorf("%s: %v", what, err)
			}
		}
		if won != 1 {
			t.Errorf("%s: %d succeeded", what, won)
		}
	}
	for round := range 5 {
		key := "round.r" + strconv.Itoa(round)
		together(func(i int) { _, errs[i] = s.Create(ctx, key, []byte{byte(i)}) })
		wantOne("create", store.ErrExists)

		before := get(t, s, key)
		together(func(i int) { _, errs[i] = s.Update(ctx, key, []byte{byte(i)}, before.Revision) })
		wantOne("update", store.ErrConflict)

		after := get(t, s, key)
		if after.Revision <= before.Revision || errs[after.Value[0]] != nil {
			t.Errorf("the value is that of a loser: %v", after)
		}
		together(func(i int) { errs[i] = s.Delete(ctx, key, after.Revision) })
		wantOne("delete", store.ErrConflict, store.ErrNotFound)

		together(func(i int) { _, errs[i] = s.Create(ctx, key, []byte{byte(i)}) })
		wantOne("create again", store.ErrExists)
	}
}

func testCounting(t *testing.T, s store.Store) {
	ctx := brief(t)
	const each = 5
	create(t, s, "count.all", "0")
	together(func(int) {
		for range each {
			if err := increment(ctx, s, "count.all"); err != nil {
				t.Error(err)
			}
		}
	})
	if e := get(t, s, "count.all"); string(e.Value) != strconv.Itoa(writers*each) {
		t.Errorf("they counted to %s", e.Value)
	}
}

func increment(ctx context.Context, s store.Store, key string) error {
	for {
		e, err := s.Get(ctx, key)
		if err != nil {
			return err
		}
		n, err := strconv.Atoi(string(e.Value))
		if err != nil {
			return err
		}
		_, err = s.Update(ctx, key, []byte(strconv.Itoa(n+1)), e.Revision)
		if !errors.Is(err, store.ErrConflict) {
			return err
		}
	}
}

func testCancelled(t *testing.T, s store.Store) {
	ctx, cancel := context.WithCancel(t.Context())
	revision := create(t, s, "user.ada", "1")
	j, err := s.Journal(ctx, "audit", store.Retention{})
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	for name, call := range map[string]func() error{
		"get":     func() error { _, err := s.Get(ctx, "user.ada"); return err },
		"list":    func() error { _, err := s.List(ctx, ""); return err },
		"create":  func() error { _, err := s.Create(ctx, "user.bob", nil); return err },
		"update":  func() error { _, err := s.Update(ctx, "user.ada", nil, revision); return err },
		"delete":  func() error { return s.Delete(ctx, "user.ada", revision) },
		"watch":   func() error { _, err := s.Watch(ctx, ""); return err },
		"hold":    func() error { _, err := s.Hold(ctx, "edge", leaseTTL); return err },
		"nodes":   func() error { _, err := s.Nodes(ctx); return err },
		"journal": func() error { _, err := s.Journal(ctx, "audit", store.Retention{}); return err },
		"append":  func() error { _, err := j.Append(ctx, nil); return err },
		"bounds":  func() error { _, _, err := j.Bounds(ctx); return err },
		"read":    func() error { _, err := j.Read(ctx, 0, 1); return err },
		"follow":  func() error { _, err := j.Follow(ctx, 0); return err },
	} {
		if err := call(); !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if e := get(t, s, "user.ada"); e.Revision != revision {
		t.Errorf("the entry has changed: %+v", e)
	}
}
