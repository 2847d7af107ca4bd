package enrolment_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"jackfield"
	"jackfield/internal/enrolment"
	"jackfield/internal/store"
	"jackfield/internal/store/memory"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var fingerprint = strings.Repeat("ab", 32)

func open(t *testing.T, s store.Store) *enrolment.Roll {
	t.Helper()
	r, err := enrolment.Open(t.Context(), s, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	return r
}

func newRoll(t *testing.T) (*enrolment.Roll, store.Store) {
	s := memory.New()
	t.Cleanup(func() { s.Close() })
	return open(t, s), s
}

func create(t *testing.T, r *enrolment.Roll, n enrolment.New) string {
	t.Helper()
	n.Authority = fingerprint
	token, _, err := r.Create(t.Context(), n)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// enrol makes an agent that has joined with the serial number.
func enrol(t *testing.T, r *enrolment.Roll, name, serial string) enrolment.Agent {
	t.Helper()
	a, _, err := r.Join(t.Context(), create(t, r, enrolment.New{Name: name}), serial)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func wantKind(t *testing.T, err error, want jackfield.Kind) {
	t.Helper()
	if refusal, is := errors.AsType[*jackfield.Error](err); !is || refusal.Kind != want {
		t.Errorf("got %v, want a refusal of kind %s", err, want)
	}
}

func wantHolder(t *testing.T, r *enrolment.Roll, serial, want string) {
	t.Helper()
	if a, there := r.Holder(serial); a.Name != want || there != (want != "") {
		t.Errorf("the certificate %s is of %q, want %q", serial, a.Name, want)
	}
}

func names(r *enrolment.Roll) string {
	var all []string
	for _, a := range r.List() {
		all = append(all, a.Name)
	}
	return strings.Join(all, " ")
}

// eventually waits until a roll's view, which is told of each change, is as wanted.
func eventually(t *testing.T, r *enrolment.Roll, what string, met func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	reached, once := make(chan struct{}), sync.Once{}
	r.Watch(ctx, func() {
		if met() {
			once.Do(func() { close(reached) })
		}
	})
	select {
	case <-reached:
	case <-ctx.Done():
		t.Fatalf("it never came to be: %s", what)
	}
}

// The life of an agent: enrolled, joined, renewed, arrived, enrolled anew, removed.
func TestLife(t *testing.T) {
	r, _ := newRoll(t)
	offers := []string{"Console.*", "web", "web"}
	token, a, err := r.Create(t.Context(), enrolment.New{
		Name: "Edge-7", Offers: &offers, Owner: &enrolment.Owner{User: "ada", ID: "1"}, By: "bob", Authority: fingerprint,
	})
	if err != nil || a.Name != "edge-7" || !slices.Equal(a.Offers, []string{"console.*", "web"}) || a.Owner.User != "ada" ||
		a.CreatedBy != "bob" || a.ID == "" || !a.Enrolled.IsZero() || time.Until(a.Waiting) > enrolment.DefaultLifetime {
		t.Fatalf("%+v, %v", a, err)
	}
	if found, err := r.Find(token); err != nil || found.Name != "edge-7" {
		t.Errorf("%+v, %v", found, err)
	}
	a, void, err := r.Join(t.Context(), token, "aa")
	if err != nil || a.Serial != "aa" || a.Enrolled.IsZero() || !a.Waiting.IsZero() || void != nil {
		t.Fatalf("%+v, %v, %v", a, void, err)
	}
	wantHolder(t, r, "aa", "edge-7")
	_, _, err = r.Join(t.Context(), token, "bb")
	wantKind(t, err, jackfield.Unauthenticated)
	if void, err := r.Arrive(t.Context(), "aa"); err != nil || void != nil {
		t.Errorf("%v, %v", void, err)
	}

	a, void, err = r.Renew(t.Context(), "aa", "bb")
	if err != nil || a.Serial != "aa" || a.Renewed != "bb" || void != nil {
		t.Errorf("%+v, %v, %v", a, void, err)
	}
	_, void, err = r.Renew(t.Context(), "aa", "cc") // the answer was lost
	if err != nil || !slices.Equal(void, []string{"bb"}) {
		t.Errorf("void %v, %v", void, err)
	}
	wantHolder(t, r, "aa", "edge-7")
	wantHolder(t, r, "bb", "")
	wantHolder(t, r, "cc", "edge-7")
	if void, err := r.Arrive(t.Context(), "cc"); err != nil || !slices.Equal(void, []string{"aa"}) {
		t.Errorf("void %v, %v", void, err)
	}
	wantHolder(t, r, "aa", "")
	_, _, err = r.Renew(t.Context(), "aa", "dd")
	wantKind(t, err, jackfield.NotFound)
	_, err = r.Arrive(t.Context(), "aa")
	wantKind(t, err, jackfield.NotFound)

	_, _, err = r.Create(t.Context(), enrolment.New{Name: "edge-7", Authority: fingerprint})
	wantKind(t, err, jackfield.Busy)
	token = create(t, r, enrolment.New{Name: "edge-7", Again: true})
	wantHolder(t, r, "cc", "edge-7")
	a, void, err = r.Join(t.Context(), token, "ee")
	if err != nil || !slices.Equal(void, []string{"cc"}) || !slices.Equal(a.Offers, []string{"console.*", "web"}) || a.Owner.User != "ada" {
		t.Errorf("%+v, %v, %v", a, void, err)
	}
	wantHolder(t, r, "cc", "")

	if a, err = r.Remove(t.Context(), "EDGE-7"); err != nil || a.Serial != "ee" {
		t.Errorf("%+v, %v", a, err)
	}
	wantHolder(t, r, "ee", "")
	_, err = r.Remove(t.Context(), "edge-7")
	wantKind(t, err, jackfield.NotFound)
	if again := enrol(t, r, "edge-7", "ff"); again.ID == a.ID || !slices.Equal(again.Offers, []string{"*.edge-7"}) {
		t.Errorf("another agent of the name is %+v", again)
	}
}

// Of many that use a token at once, on two servers, exactly one joins.
func TestTokenIsGoodOnce(t *testing.T) {
	here, s := newRoll(t)
	there := open(t, s)
	for round := range 20 {
		token := create(t, here, enrolment.New{Name: "edge-7", Again: true})
		eventually(t, there, "the token is known", func() bool { _, err := there.Find(token); return err == nil })
		var joined atomic.Int32
		var all sync.WaitGroup
		for i := range 16 {
			all.Go(func() {
				roll := []*enrolment.Roll{here, there}[i%2]
				_, _, err := roll.Join(t.Context(), token, fmt.Sprintf("%d-%d", round, i))
				if err == nil {
					joined.Add(1)
				} else if jackfield.AsError(err).Kind != jackfield.Unauthenticated {
					t.Error(err)
				}
			})
		}
		all.Wait()
		if joined.Load() != 1 {
			t.Fatalf("%d have joined with one token", joined.Load())
		}
	}
}

// A token that was replaced, has expired, or whose agent is gone, is as good as none.
func TestTokensThatAreNotGood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := memory.New()
		defer s.Close()
		r, err := enrolment.Open(t.Context(), s, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		replaced := create(t, r, enrolment.New{Name: "a"})
		present := create(t, r, enrolment.New{Name: "a"})
		short := create(t, r, enrolment.New{Name: "b", Lifetime: time.Minute})
		removed := create(t, r, enrolment.New{Name: "c"})
		if _, err := r.Remove(t.Context(), "c"); err != nil {
			t.Fatal(err)
		}
		foreign := create(t, open2(t), enrolment.New{Name: "d"})
		time.Sleep(time.Minute)
		for name, token := range map[string]string{
			"replaced": replaced, "expired": short, "removed": removed, "foreign": foreign, "none": "", "cut off": present[:40],
		} {
			_, err := r.Find(token)
			wantKind(t, err, jackfield.Unauthenticated)
			_, _, err = r.Join(t.Context(), token, "aa")
			wantKind(t, err, jackfield.Unauthenticated)
			if token != "" && strings.Contains(err.Error(), token) {
				t.Errorf("%s: the error has the token: %v", name, err)
			}
		}
		if _, _, err := r.Join(t.Context(), present, "aa"); err != nil {
			t.Error(err)
		}
	})
}

func open2(t *testing.T) *enrolment.Roll {
	s := memory.New()
	r, err := enrolment.Open(t.Context(), s, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close(); s.Close() })
	return r
}

func TestWhatIsRefused(t *testing.T) {
	r, _ := newRoll(t)
	many := slices.Repeat([]string{"a"}, enrolment.MaxOffers+1)
	for name, n := range map[string]enrolment.New{
		"no name":       {},
		"dots":          {Name: "edge.7"},
		"long":          {Name: strings.Repeat("a", 64)},
		"reserved":      {Name: "JOIN"},
		"many patterns": {Name: "a", Offers: &many},
		"no pattern":    {Name: "a", Offers: &[]string{"a.b.c"}},
		"short":         {Name: "a", Lifetime: time.Millisecond},
		"long life":     {Name: "a", Lifetime: enrolment.MaxLifetime + 1},
	} {
		t.Run(name, func(t *testing.T) {
			n.Authority = fingerprint
			_, _, err := r.Create(t.Context(), n)
			wantKind(t, err, jackfield.Invalid)
		})
	}
	if _, _, err := r.Create(t.Context(), enrolment.New{Name: "a", Authority: "ab"}); err == nil {
		t.Error("a token was made without a fingerprint")
	}
	_, err := r.Change(t.Context(), "nobody", enrolment.Change{})
	wantKind(t, err, jackfield.NotFound)
	if got := names(r); got != "" {
		t.Errorf("there is %q", got)
	}
}

// Renamed, an agent keeps its certificate, its token and its identity.
func TestRename(t *testing.T) {
	here, s := newRoll(t)
	there := open(t, s)
	a := enrol(t, here, "edge-7", "aa")
	enrol(t, here, "edge-8", "bb")
	token := create(t, here, enrolment.New{Name: "edge-7", Again: true})
	_, err := here.Change(t.Context(), "edge-7", enrolment.Change{Name: "edge-8"})
	wantKind(t, err, jackfield.Busy)
	_, err = here.Change(t.Context(), "edge-7", enrolment.Change{Name: "join"})
	wantKind(t, err, jackfield.Invalid)
	offers := []string{"*"}
	renamed, err := here.Change(t.Context(), "edge-7", enrolment.Change{Name: "Roof", Offers: &offers})
	if err != nil || renamed.Name != "roof" || renamed.ID != a.ID || renamed.Serial != "aa" || !slices.Equal(renamed.Offers, offers) {
		t.Fatalf("%+v, %v", renamed, err)
	}
	for _, r := range []*enrolment.Roll{here, there} {
		eventually(t, r, "the new name", func() bool { return names(r) == "edge-8 roof" })
		wantHolder(t, r, "aa", "roof")
		if _, err := r.Get("edge-7"); jackfield.AsError(err).Kind != jackfield.NotFound {
			t.Errorf("the old name: %v", err)
		}
	}
	if joined, void, err := there.Join(t.Context(), token, "cc"); err != nil || joined.Name != "roof" || !slices.Equal(void, []string{"aa"}) {
		t.Errorf("%+v, %v, %v", joined, void, err)
	}
	if again := enrol(t, here, "edge-7", "dd"); again.ID == a.ID {
		t.Error("the old name's next agent is the same one")
	}
}

// A broken store does some of the writes.
type broken struct {
	store.Store
	create, remove atomic.Bool // fail
}

func (b *broken) Create(ctx context.Context, key string, value []byte) (uint64, error) {
	if b.create.Load() {
		return 0, store.ErrUnavailable
	}
	return b.Store.Create(ctx, key, value)
}

func (b *broken) Delete(ctx context.Context, key string, revision uint64) error {
	if b.remove.Load() {
		return store.ErrUnavailable
	}
	return b.Store.Delete(ctx, key, revision)
}

// A renaming that is broken off leaves one agent, under one of the names, which can be used, renamed again and removed.
func TestRenameIsBrokenOff(t *testing.T) {
	inner := memory.New()
	defer inner.Close()
	s := &broken{Store: inner}
	r := open(t, s)
	enrol(t, r, "old", "aa")
	s.create.Store(true)
	_, err := r.Change(t.Context(), "old", enrolment.Change{Name: "new"})
	wantKind(t, err, jackfield.Unavailable)
	s.create.Store(false)
	wantHolder(t, r, "aa", "old")
	if _, err := r.SetDraining(t.Context(), "old", true); err != nil {
		t.Error(err)
	}

	s.remove.Store(true)
	if _, err := r.Change(t.Context(), "old", enrolment.Change{Name: "new"}); err != nil {
		t.Fatal(err)
	}
	s.remove.Store(false)
	for _, r := range []*enrolment.Roll{r, open(t, s)} { // what is left of the old record counts nowhere
		wantHolder(t, r, "aa", "new")
		if got := names(r); got != "new" {
			t.Errorf("there are %q", got)
		}
	}
	if a, err := r.Change(t.Context(), "new", enrolment.Change{Name: "old"}); err != nil || a.Name != "old" {
		t.Fatalf("back to the name that is left: %+v, %v", a, err)
	}
	s.remove.Store(true)
	if _, err := r.Change(t.Context(), "old", enrolment.Change{Name: "new"}); err != nil {
		t.Fatal(err)
	}
	s.remove.Store(false)
	if _, err := r.Remove(t.Context(), "new"); err != nil {
		t.Error(err)
	}
	wantHolder(t, open(t, s), "aa", "")
	if left, err := inner.List(t.Context(), ""); err != nil || len(left) > 0 {
		t.Errorf("left are %v, %v", left, err)
	}
}

// What one server does, others know.
func TestOthersAreTold(t *testing.T) {
	here, s := newRoll(t)
	there := open(t, s)
	token := create(t, here, enrolment.New{Name: "a"})
	eventually(t, there, "the agent", func() bool { return names(there) == "a" })
	if _, _, err := there.Join(t.Context(), token, "aa"); err != nil {
		t.Fatal(err)
	}
	eventually(t, here, "its certificate", func() bool { _, ok := here.Holder("aa"); return ok })
	if _, err := there.SetDraining(t.Context(), "a", true); err != nil {
		t.Fatal(err)
	}
	eventually(t, here, "that it drains", func() bool { a, _ := here.Get("a"); return a.Draining })
	if void, err := here.Arrive(t.Context(), "aa"); err != nil || void != nil {
		t.Errorf("%v, %v", void, err)
	}
	eventually(t, there, "that it has come again", func() bool { a, _ := there.Get("a"); return !a.Draining })
	if _, err := here.Remove(t.Context(), "a"); err != nil {
		t.Fatal(err)
	}
	eventually(t, there, "that it is gone", func() bool { _, ok := there.Holder("aa"); return !ok && names(there) == "" })
}

// Changes of the same agent at the same moment, on two servers, are all done.
func TestChangesAtOnce(t *testing.T) {
	here, s := newRoll(t)
	there := open(t, s)
	enrol(t, here, "a", "aa")
	eventually(t, there, "the agent", func() bool { _, ok := there.Holder("aa"); return ok })
	var all sync.WaitGroup
	var done atomic.Int32
	for i := range 8 {
		all.Go(func() {
			roll := []*enrolment.Roll{here, there}[i%2]
			offers := []string{fmt.Sprintf("s%d", i)}
			_, err := roll.Change(t.Context(), "a", enrolment.Change{Offers: &offers})
			if err == nil {
				done.Add(1)
			} else if jackfield.AsError(err).Kind != jackfield.Busy {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if done.Load() == 0 {
		t.Error("none of the changes was done")
	}
	wantHolder(t, here, "aa", "a")
}

// Nothing of a token is in the store, and a record that is damaged lets nobody in and can be replaced.
func TestWhatIsStored(t *testing.T) {
	r, s := newRoll(t)
	token := create(t, r, enrolment.New{Name: "a"})
	e, err := s.Get(t.Context(), "agent.a")
	if err != nil || strings.Contains(string(e.Value), token[:20]) {
		t.Errorf("%s, %v", e.Value, err)
	}
	var fields map[string]any
	if err := json.Unmarshal(e.Value, &fields); err != nil || fields["token_sha256"] == nil {
		t.Errorf("%v, %v", fields, err)
	}
	enrol(t, r, "b", "bb")
	for _, value := range []string{"{", `{"name":"other","id":"x"}`, "null"} {
		e, err := s.Get(t.Context(), "agent.b")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Update(t.Context(), "agent.b", []byte(value), e.Revision); err != nil {
			t.Fatal(err)
		}
		eventually(t, r, "it is damaged", func() bool { _, ok := r.Holder("bb"); return !ok })
		if got := names(r); got != "a b" {
			t.Errorf("there are %q", got)
		}
		enrol(t, r, "b", "bb")
	}
}

func TestNoStore(t *testing.T) {
	inner := memory.New()
	s := &broken{Store: inner}
	r := open(t, s)
	enrol(t, r, "a", "aa")
	inner.Close()
	_, err := r.SetDraining(t.Context(), "a", true)
	wantKind(t, err, jackfield.Unavailable)
	_, _, err = r.Create(t.Context(), enrolment.New{Name: "b", Authority: fingerprint})
	wantKind(t, err, jackfield.Unavailable)
	wantHolder(t, r, "aa", "a")
	if _, err := enrolment.Open(t.Context(), inner, slog.New(slog.DiscardHandler)); err == nil {
		t.Error("a roll was opened without a store")
	}
}
