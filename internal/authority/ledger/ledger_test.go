package ledger_test

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"jackfield"
	"jackfield/internal/authority"
	"jackfield/internal/authority/ledger"
	"jackfield/internal/store"
	"jackfield/internal/store/memory"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func open(t *testing.T, s store.Store) *ledger.Ledger {
	t.Helper()
	l, err := ledger.Open(t.Context(), s, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.Close)
	return l
}

func entry(serial string) ledger.Entry {
	return ledger.Entry{Serial: serial, Kind: authority.Device, Name: "meter-7", Issued: time.Now(), NotAfter: time.Now().Add(time.Hour)}
}

func add(t *testing.T, l *ledger.Ledger, e ledger.Entry) {
	t.Helper()
	if err := l.Add(t.Context(), e); err != nil {
		t.Fatal(err)
	}
}

// What is void: what was never signed, what is another's, what was revoked, here or by another node.
func TestVoid(t *testing.T) {
	s := memory.New()
	defer s.Close()
	here, there := open(t, s), open(t, s)
	e := entry("aa")
	add(t, here, e)
	if here.Void(e.Subject(), "aa") {
		t.Error("a certificate is void that was just signed")
	}
	if !here.Void(e.Subject(), "bb") || !here.Void(authority.Subject{Kind: authority.Device, Name: "meter-8"}, "aa") {
		t.Error("an unknown certificate is good")
	}
	using, done := here.Context(t.Context(), "aa")
	defer done()
	if using.Err() != nil {
		t.Fatal(using.Err())
	}
	for there.Void(e.Subject(), "aa") { // until the watch has told it
		time.Sleep(time.Millisecond)
	}
	if _, err := there.Revoke(t.Context(), "aa"); err != nil {
		t.Fatal(err)
	}
	if !there.Void(e.Subject(), "aa") {
		t.Error("a certificate is good that was just revoked")
	}
	<-using.Done()
	if !errors.Is(context.Cause(using), ledger.ErrRevoked) || !here.Void(e.Subject(), "aa") {
		t.Errorf("cause %v", context.Cause(using))
	}
	late, _ := here.Context(t.Context(), "aa")
	if !errors.Is(context.Cause(late), ledger.ErrRevoked) {
		t.Error("what begins after the revocation goes on")
	}
	if again, err := here.Revoke(t.Context(), "aa"); err != nil || again.Revoked.IsZero() {
		t.Errorf("revoked again: %v, %v", again, err)
	}
}

func TestRevokeUnknown(t *testing.T) {
	s := memory.New()
	defer s.Close()
	_, err := open(t, s).Revoke(t.Context(), "aa")
	if jackfield.AsError(err).Kind != jackfield.NotFound {
		t.Error(err)
	}
}

// Without the store nothing is issued and nothing revoked, but what is known still holds.
func TestStoreAway(t *testing.T) {
	s := memory.New()
	defer s.Close()
	l := open(t, s)
	e := entry("aa")
	add(t, l, e)
	s.SetReachable(false)
	if err := l.Add(t.Context(), entry("bb")); jackfield.AsError(err).Kind != jackfield.Unavailable {
		t.Error(err)
	}
	if _, err := l.Revoke(t.Context(), "aa"); jackfield.AsError(err).Kind != jackfield.Unavailable {
		t.Error(err)
	}
	if l.Void(e.Subject(), "aa") || !l.Void(e.Subject(), "bb") {
		t.Error("what is known does not hold")
	}
}

func TestOldOnesAreForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := memory.New()
		defer s.Close()
		first, err := ledger.Open(t.Context(), s, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		add(t, first, entry("aa"))
		first.Close()
		time.Sleep(ledger.Remember + 2*time.Hour)
		second, err := ledger.Open(t.Context(), s, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		defer second.Close()
		synctest.Wait()
		if left := second.List(); len(left) != 0 {
			t.Errorf("%v", left)
		}
	})
}

// A damaged entry must not make a certificate good.
func TestDamagedEntry(t *testing.T) {
	s := memory.New()
	defer s.Close()
	if _, err := s.Create(t.Context(), "certificate.aa", []byte(`{"serial":"bb"}`)); err != nil {
		t.Fatal(err)
	}
	l := open(t, s)
	if !l.Void(entry("aa").Subject(), "aa") {
		t.Error("it is good")
	}
}
