package api

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"jackfield"
)

func fuzzCall(query, body string) *call {
	r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(body))
	r.URL.RawQuery = query
	r.Header.Set("Content-Type", "application/json")
	o := &operation{method: http.MethodPost, path: "/", query: recordFilters, paged: true}
	return &call{operation: o, w: httptest.NewRecorder(), r: r}
}

// Whatever a query says: the part is within the list and its limit, in order, behind the cursor, or the call is refused.
func FuzzQuery(f *testing.F) {
	for _, seed := range []string{"", "limit=3", "limit=3&cursor=" + encodeCursor("b"), "cursor=!", "limit=%zz", "limit=1;cursor=x", "limit=-1", "x=1"} {
		f.Add(seed)
	}
	items := strings.Split("k j i h g f e d c b a", " ")
	f.Fuzz(func(t *testing.T, query string) {
		c := fuzzCall(query, "")
		values, err := c.parseQuery()
		if err == nil {
			c.values = values
			var part []string
			var next string
			if part, next, err = paginate(c, items, func(s string) string { return s }); err == nil {
				checkPart(t, c, part, next)
				return
			}
		}
		if jackfield.AsError(err).Kind != jackfield.Invalid {
			t.Errorf("%v", err)
		}
	})
}

func checkPart(t *testing.T, c *call, part []string, next string) {
	limit, err := parseLimit(c.query("limit"))
	if err != nil || len(part) > limit {
		t.Fatalf("%d items, %v", len(part), err)
	}
	last, err := decodeCursor(c.query("cursor"))
	if err != nil {
		t.Fatal(err)
	}
	for _, item := range part {
		if item <= last {
			t.Fatalf("%q came after %q", item, last)
		}
		last = item
	}
	if next != "" {
		if key, err := decodeCursor(next); err != nil || key != last {
			t.Errorf("the next cursor is of %q, not %q: %v", key, last, err)
		}
	}
}

// Whatever a body says: it is read, or refused with few words that do not repeat it.
func FuzzBody(f *testing.F) {
	const secret = "geheim-geheim-geheim"
	for _, seed := range []string{
		`{"user":"ada","password":"` + secret + `"}`, `{"password":{"` + secret + `":1}}`, `{"lifetime":"` + secret + `"}`, `["` + secret + `"]`,
		`{"user":"x"} "` + secret + `"`, `{"password":"` + secret, "", "{", "null", `{"scopes":[1]}`, `{"lifetime":"1h"}`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, body string) {
		_, err := decode[Login](fuzzCall("", body))
		if err == nil {
			return
		}
		refusal := jackfield.AsError(err)
		if refusal.Kind != jackfield.Invalid || len(refusal.Error()) > 300 || strings.Contains(refusal.Error(), secret) && !strings.Contains(body, `{"`+secret) {
			t.Errorf("%v", refusal)
		}
	})
}

func FuzzEvents(f *testing.F) {
	for _, seed := range []string{"", ": hello\n\nid: 1\nevent: end\ndata: {\"reason\":\"x\"}\n\n", "data: a\ndata: b\n\n", "data\n\n", "event: x\n\nid"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		events := newEventReader(strings.NewReader(text))
		for range len(text) + 1 {
			event, err := events.next()
			if err != nil {
				return
			}
			decodeEvent[Event](event)
		}
		t.Error("more events than bytes")
	})
}
