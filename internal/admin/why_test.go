package admin

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"

	"jackfield"
)

func TestWhy(t *testing.T) {
	path := shortPath(t)
	serveSocket(t, path, newTable())
	q := Question{Service: "web", Listener: "mux", Source: netip.MustParseAddr("192.0.2.7"), User: "ada", Time: started}
	e, err := Dial(path).Why(t.Context(), q)
	if err != nil || e.Verdict != "denied" || len(e.Checks) != 1 {
		t.Fatalf("%+v, %v", e, err)
	}
	if want := (Check{1, "mux", "address", "failed", "acl.global[0]", "192.0.2.7ada2026-11-22 05:00:00 +0000 UTC"}); e.Checks[0] != want {
		t.Errorf("got %+v, want %+v", e.Checks[0], want)
	}
	q.Service = "nosuch"
	if _, err := Dial(path).Why(t.Context(), q); jackfield.AsError(err).Kind != jackfield.NotFound {
		t.Errorf("got %v", err)
	}
}

func TestWhyBadQuestion(t *testing.T) {
	a := &api{control: newTable(), log: quiet}
	for name, body := range map[string]io.Reader{
		"empty":         strings.NewReader(""),
		"no JSON":       strings.NewReader("{"),
		"unknown field": strings.NewReader(`{"source": "192.0.2.7", "sauce": 1}`),
		"no address":    strings.NewReader(`{"service": "web"}`),
		"endless":       io.MultiReader(strings.NewReader(`{"service": "`), strings.NewReader(strings.Repeat("x", maxQuestion))),
	} {
		_, err := a.why(httptest.NewRequest(http.MethodPost, "/v1/why", body))
		if jackfield.AsError(err).Kind != jackfield.Invalid {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestDevices(t *testing.T) {
	path := shortPath(t)
	serveSocket(t, path, newTable())
	devices, err := Dial(path).Devices(t.Context())
	if err != nil || len(devices) != 2 {
		t.Fatalf("%+v, %v", devices, err)
	}
	if a, b := devices[0], devices[1]; a.Name != "a" || a.Streams != 2 || a.Source.String() != "192.0.2.9:1" || b.Connected || b.Since != nil {
		t.Errorf("%+v, %+v", a, b)
	}
}
