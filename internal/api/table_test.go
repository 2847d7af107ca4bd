package api

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"

	"jackfield/internal/identity"
)

// The document has the operations of the table, and the handler knows no others.
func TestTableAndDocumentAgree(t *testing.T) {
	var document struct {
		Paths map[string]map[string]json.RawMessage
	}
	if err := json.Unmarshal(Document(), &document); err != nil {
		t.Fatal(err)
	}
	described := make(map[string]bool)
	for path, methods := range document.Paths {
		for method := range methods {
			if method != "parameters" {
				described[strings.ToUpper(method)+" "+path] = true
			}
		}
	}
	for _, o := range operations() {
		key := o.method + " " + o.pattern()
		if !described[key] {
			t.Errorf("%s is in the table and not in the document", key)
		}
		delete(described, key)
	}
	for key := range described {
		t.Errorf("%s is in the document and not, or not once, in the table", key)
	}
}

func TestOperationsAreWhole(t *testing.T) {
	ids := make(map[string]bool)
	for _, o := range operations() {
		key := o.method + " " + o.path
		if o.id == "" || ids[o.id] || o.summary == "" || tagDescriptions[o.tag] == "" {
			t.Errorf("%s: no id of its own, no summary, or no known tag", key)
		}
		ids[o.id] = true
		if (o.serve == nil) == (o.stream == nil) {
			t.Errorf("%s does nothing, or two things", key)
		}
		for _, name := range parameterNames(o.path) {
			if pathParameterDocs[name] == "" {
				t.Errorf("%s: nothing says what %q is", key, name)
			}
		}
		for _, p := range o.query {
			if p.doc == "" || p.schema == nil {
				t.Errorf("%s: nothing says what %q is", key, p.name)
			}
		}
		changes := o.method != http.MethodGet
		switch {
		case o.access == forAll && !slices.Contains([]string{"getHealth", "getDocument", "login", "getAuthority", "joinAgent"}, o.id):
			t.Errorf("%s needs no authentication", key)
		case o.access == forAdmin && o.scope != identity.Admin:
			t.Errorf("%s is for administrators, and any token will do", key)
		case o.access == forCaller && changes && o.scope != identity.Write && o.id != "logout":
			t.Errorf("%s changes something, and needs no token of scope write", key)
		case len(parameterNames(o.path)) > 0 && o.target == "":
			t.Errorf("%s: the audit will not say what it was about", key)
		}
	}
}
