package gateway_test

import (
	"slices"
	"testing"

	"jackfield"
)

// A screening asks what the address decides and takes no place; a call of the API meets both outer ACLs, whole.
func TestOuterChecksAlone(t *testing.T) {
	who := jackfield.Identity{User: "ada", Proof: jackfield.ProofToken}
	checks := map[string]struct {
		check func(*house) error
		asked []string
	}{
		"screen": {
			check: func(h *house) error { return h.Screen(t.Context(), h.listener, source, local) },
		},
		"call": {
			check: func(h *house) error { return h.MayCall(t.Context(), h.listener, source, local, who) },
			asked: []string{"global.acl", "listener.acl"},
		},
	}
	for name, c := range checks {
		for i, refused := range append(slices.Clone(c.asked), "") {
			t.Run(name+" "+refused, func(t *testing.T) {
				h := newHouse(t)
				h.refuse[refused] = true
				err := c.check(h)
				if want := c.asked[:min(i+1, len(c.asked))]; !slices.Equal(h.asked, want) {
					t.Errorf("asked %v, want %v", h.asked, want)
				}
				var want []string
				if refused != "" {
					want = []string{"refuse"}
				}
				if !slices.Equal(h.records, want) || (err == nil) != (refused == "") {
					t.Errorf("records %v, error %v", h.records, err)
				}
				h.expectEmpty(t)
			})
		}
	}
}

func TestScreenDeniesByAddress(t *testing.T) {
	h := newHouse(t)
	h.listener.Level.ACL = early{policy: policy{h, "listener.acl"}}
	h.refuse["listener.acl.early"] = true
	err := h.Screen(t.Context(), h.listener, source, local)
	if refusal := jackfield.AsError(err); err == nil || refusal.Kind != jackfield.Denied || refusal.ID == "" {
		t.Errorf("the refusal is %#v", err)
	}
	if !slices.Equal(h.records, []string{"refuse"}) {
		t.Errorf("records %v", h.records)
	}
}
