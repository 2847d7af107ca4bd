package audit

import (
	"errors"
	"slices"
	"testing"

	"jackfield"
)

// A witness notes what it is told, and may refuse.
type witness struct {
	refuses error
	events  []string
}

func (w *witness) Opened(*jackfield.Record) error {
	if w.refuses == nil {
		w.events = append(w.events, "open")
	}
	return w.refuses
}
func (w *witness) Closed(r *jackfield.Record) { w.events = append(w.events, "close: "+r.End.Cause) }
func (w *witness) Refused(*jackfield.Record)  { w.events = append(w.events, "refuse") }

func TestMultiTellsAll(t *testing.T) {
	a, b := &witness{}, &witness{}
	m := Multi(a, b)
	r := sample("1")
	if err := m.Opened(r); err != nil {
		t.Fatal(err)
	}
	m.Closed(r)
	m.Refused(r)
	want := []string{"open", "close: finished", "refuse"}
	if !slices.Equal(a.events, want) || !slices.Equal(b.events, want) {
		t.Errorf("%v and %v, want %v", a.events, b.events, want)
	}
}

func TestMultiKeepsOpenedAndClosedInPairs(t *testing.T) {
	refusing := errors.New("no")
	before, failing, after := &witness{}, &witness{refuses: refusing}, &witness{}
	m := Multi(before, failing, after)
	r := sample("1")
	if err := m.Opened(r); err != refusing {
		t.Fatalf("Opened: %v, want %v", err, refusing)
	}
	m.Refused(r)
	if want := []string{"open", "close: not recorded", "refuse"}; !slices.Equal(before.events, want) {
		t.Errorf("before: %v, want %v", before.events, want)
	}
	for _, w := range []*witness{failing, after} {
		if want := []string{"refuse"}; !slices.Equal(w.events, want) {
			t.Errorf("%v, want %v", w.events, want)
		}
	}
	if r.End.Cause != jackfield.EndFinished {
		t.Error("the record was changed")
	}
}
