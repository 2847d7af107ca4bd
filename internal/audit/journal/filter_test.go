package journal

import (
	"errors"
	"net/netip"
	"testing"
	"time"
)

func TestFilter(t *testing.T) {
	r, ok := parseLine([]byte(`{"event":"close","time":"2026-01-01T12:00:00Z","id":"k3vq-1-a","listener":"mux",` +
		`"source":"192.0.2.7:4711","user":"ada","service":"console.fpga-1","end":"finished","notes":["Überall"]}`))
	if !ok {
		t.Fatal("the line is damaged")
	}
	r.Server = "k3vq"
	noon := r.Time
	for name, test := range map[string]struct {
		filter Filter
		want   bool
	}{
		"nothing":           {Filter{}, true},
		"since":             {Filter{Since: noon}, true},
		"since later":       {Filter{Since: noon.Add(time.Millisecond)}, false},
		"until":             {Filter{Until: noon.Add(time.Millisecond)}, true},
		"until then":        {Filter{Until: noon}, false},
		"event":             {Filter{Events: []string{"open", "close"}}, true},
		"other events":      {Filter{Events: []string{"open", "call"}}, false},
		"server":            {Filter{Server: "k3vq"}, true},
		"other server":      {Filter{Server: "k3v"}, false},
		"listener":          {Filter{Listener: "mux"}, true},
		"other listener":    {Filter{Listener: "mu"}, false},
		"service":           {Filter{Service: "console.fpga-1"}, true},
		"services":          {Filter{Service: "Con*.FPGA-*"}, true},
		"any service":       {Filter{Service: "*"}, true},
		"star in its label": {Filter{Service: "console*"}, false},
		"other services":    {Filter{Service: "*.fpga-2"}, false},
		"user":              {Filter{User: "ada"}, true},
		"other user":        {Filter{User: "Ada"}, false},
		"source":            {Filter{Source: netip.MustParsePrefix("192.0.2.0/24")}, true},
		"other source":      {Filter{Source: netip.MustParsePrefix("2001:db8::/32")}, false},
		"id":                {Filter{ID: "k3vq-1-a"}, true},
		"other id":          {Filter{ID: "k3vq-1"}, false},
		"end":               {Filter{End: "finished"}, true},
		"other end":         {Filter{End: "lost"}, false},
		"text":              {Filter{Text: "üBERALL"}, true},
		"other text":        {Filter{Text: "nirgends"}, false},
		"two":               {Filter{User: "ada", Events: []string{"close"}}, true},
		"one of two":        {Filter{User: "ada", Events: []string{"open"}}, false},
	} {
		t.Run(name, func(t *testing.T) {
			if err := test.filter.Check(); err != nil {
				t.Fatal(err)
			}
			if got := test.filter.matches(&r); got != test.want {
				t.Errorf("%v", got)
			}
		})
	}
}

func TestFilterOfALineAboutNothing(t *testing.T) {
	r, ok := parseLine([]byte(`{"event":"lost","time":"2026-01-01T12:00:00Z","records":3}`))
	if !ok {
		t.Fatal("the line is damaged")
	}
	for _, f := range []Filter{{Source: netip.MustParsePrefix("0.0.0.0/0")}, {Service: "*"}, {User: "ada"}} {
		if f.matches(&r) {
			t.Errorf("it fits %+v", f)
		}
	}
}

// A user's records are those of who was it, and of who claimed to be: not of who did something about the user.
func TestFilterByClaim(t *testing.T) {
	for text, want := range map[string]bool{
		`"event":"call","user":"","proof":"none","target":"user ada","status":401`:      true,
		`"event":"call","user":"ada","proof":"token","target":"user ada","status":201`:  true,
		`"event":"call","user":"","proof":"none","target":"user ada2","status":401`:     false,
		`"event":"call","user":"","proof":"none","target":"token ada","status":401`:     false,
		`"event":"call","user":"","proof":"none","target":"","status":401`:              false,
		`"event":"call","user":"","proof":"peer","target":"user ada","status":200`:      false,
		`"event":"call","user":"root","proof":"token","target":"user ada","status":200`: false,
	} {
		r, ok := parseLine([]byte(`{"time":"2026-01-01T12:00:00Z",` + text + "}"))
		if !ok {
			t.Fatalf("%s is damaged", text)
		}
		f := Filter{User: "ada"}
		if got := f.matches(&r); got != want {
			t.Errorf("%s: %v", text, got)
		}
	}
}

func TestFiltersThatMakeNoSense(t *testing.T) {
	now := time.Now()
	for _, f := range []Filter{{Service: "a.b.c"}, {Service: "[a"}, {Service: `a\`}, {Since: now, Until: now.Add(-1)}} {
		if err := f.Check(); !errors.Is(err, ErrFilter) {
			t.Errorf("%+v: %v", f, err)
		}
	}
}
