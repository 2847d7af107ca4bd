package config

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"jackfield/internal/access"
)

// write makes a configuration file in a directory of its own.
func write(t testing.TB, source string) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "jackfield.hcl")
	if err := os.WriteFile(path, []byte(source), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func mustLoad(t testing.TB, path string) *Config {
	t.Helper()
	loaded, problems := Load(path)
	if loaded == nil {
		t.Fatal(problems.Err())
	}
	return loaded
}

func TestExampleLoads(t *testing.T) {
	loaded, problems := Load("reference/example.hcl")
	for _, p := range problems.List() {
		if p.Severity != "warning" || p.Summary != "Rule needs an identity" {
			t.Errorf("%+v", p)
		}
	}
	if loaded == nil {
		t.FailNow()
	}
	prefixes := func(networks ...string) (out []netip.Prefix) {
		for _, n := range networks {
			out = append(out, netip.MustParsePrefix(n))
		}
		return out
	}
	forgetPlaces(loaded)
	station := &Station{
		Name: "fpga-1", Description: "Kintex board, rack 3", Lease: "none",
		Rules: []access.Rule{{Allow: true}},
	}
	want := &Config{
		DataDir: "/var/lib/jackfield",
		Log:     Log{slog.LevelInfo, "auto"},
		Audit:   Audit{"reference/audit.jsonl", 64 << 20, 8},
		Admin:   &Admin{Listen: "127.0.0.1:9078"},
		Rules: []access.Rule{
			{From: prefixes("10.66.0.0/16", "2001:db8:66::/48")},
			{Allow: true},
		},
		Limits: access.Limits{
			MaxSessions: 5000, MaxSessionsPerSource: 200,
			Rate: access.Rate{Count: 500, Period: time.Second}, RatePerSource: access.Rate{Count: 600, Period: time.Minute},
			Message: "all lines are in use, try again later",
		},
		Listeners: []*Listener{
			{
				Name: "mux", Protocol: "tcpmux", Listen: "127.0.0.1:1078", ProxyProtocolFrom: prefixes("127.0.0.2/32"),
				NameTimeout: 10 * time.Second, AcceptMessage: "go ahead",
				Rules: []access.Rule{
					{Services: []string{"*.fpga-2"}},
					{Allow: true, From: prefixes("127.0.0.0/8", "10.0.0.0/8")},
				},
			},
			{
				Name: "meter", Protocol: "tcp", Listen: "127.0.0.1:2323", Service: "telnet", NameTimeout: 10 * time.Second,
				Limits: access.Limits{MaxSessions: 10},
			},
		},
		Services: []*Service{
			{Name: "time", Listeners: []string{"mux"}, Builtin: "time"},
			{
				Name: "web", Listeners: []string{"mux"}, Description: "the intranet", Addresses: []string{"10.1.0.1:80", "10.1.0.2:80"},
				DialTimeout: 5 * time.Second, SendProxyProtocol: "v2", Limits: access.Limits{MaxSessions: 100},
				Rules: []access.Rule{
					{From: prefixes("10.9.0.0/16")},
					{Allow: true},
				},
			},
			{
				Name: "telnet", Addresses: []string{"127.0.0.1:23"}, DialTimeout: 10 * time.Second,
				IdleTimeout: 30 * time.Minute, MaxDuration: 12 * time.Hour,
			},
			{
				Name: "app", Listeners: []string{"mux"}, Addresses: []string{"unix:/run/app.sock"}, DialTimeout: 10 * time.Second,
			},
			{
				Name: "console.fpga-1", Station: station, Listeners: []string{"mux"}, Addresses: []string{"127.0.0.1:2001"},
				DialTimeout: 10 * time.Second,
				Rules: []access.Rule{
					{Users: []string{"guest"}},
					{Groups: []string{"visitors"}},
					{Allow: true},
				},
			},
			{
				Name: "power.fpga-1", Station: station, Listeners: []string{"mux"}, Addresses: []string{"127.0.0.1:2002"},
				DialTimeout: 10 * time.Second,
			},
		},
		Stations: []*Station{station},
	}
	if got, want := dump(loaded), dump(want); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// dump writes a configuration a line for each thing, following pointers.
func dump(c *Config) string {
	lines := []string{fmt.Sprintf("%q %+v %+v %+v %+v %+v", c.DataDir, c.Log, c.Audit, *c.Admin, c.Rules, c.Limits)}
	for _, l := range c.Listeners {
		lines = append(lines, fmt.Sprintf("%+v", *l))
	}
	for _, s := range c.Services {
		plain := *s
		plain.Station = nil
		lines = append(lines, fmt.Sprintf("%+v of %+v", plain, s.Station))
	}
	for _, s := range c.Stations {
		lines = append(lines, fmt.Sprintf("%+v", *s))
	}
	return strings.Join(lines, "\n")
}

// forgetPlaces removes what has tests of its own: places and conditions.
func forgetPlaces(c *Config) {
	clean := func(rules []access.Rule) {
		for i := range rules {
			rules[i].Where, rules[i].When = "", nil
		}
	}
	clean(c.Rules)
	c.Admin.Where = ""
	for _, l := range c.Listeners {
		l.Where = ""
		clean(l.Rules)
	}
	for _, s := range c.Services {
		s.Where = ""
		clean(s.Rules)
	}
	for _, s := range c.Stations {
		s.Where = ""
		clean(s.Rules)
	}
}

func TestDefaults(t *testing.T) {
	path := write(t, "")
	got := mustLoad(t, path)
	want := &Config{
		DataDir: "/var/lib/jackfield",
		Log:     Log{slog.LevelInfo, "auto"},
		Audit:   Audit{filepath.FromSlash("/var/lib/jackfield/audit.jsonl"), 64 << 20, 8},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if admin := mustLoad(t, write(t, "admin {}")).Admin; admin == nil || *admin != (Admin{"127.0.0.1:9078", "jackfield.hcl:1"}) {
		t.Errorf("admin is %+v", admin)
	}
}

func TestIncludedFilesFollowInOrder(t *testing.T) {
	c := mustLoad(t, "testdata/good/include.hcl")
	var places []string
	for _, r := range c.Rules {
		places = append(places, r.Where)
	}
	want := []string{"include.hcl:3", "conf.d/10-listener.hcl:6", "conf.d/20-service.hcl:2"}
	if !reflect.DeepEqual(places, want) {
		t.Errorf("rules at %v, want %v", places, want)
	}
	if len(c.Listeners) != 1 || len(c.Services) != 1 || c.Services[0].Where != "conf.d/20-service.hcl:4" {
		t.Errorf("listeners %v, services %v", c.Listeners, c.Services)
	}
	if want := filepath.FromSlash("testdata/good/state"); c.DataDir != want {
		t.Errorf("data_dir is %s, want %s", c.DataDir, want)
	}
}

func TestStationsServices(t *testing.T) {
	c := mustLoad(t, write(t, `
listener "A" {
  protocol = "tcpmux"
  listen   = ":0"
}
listener "b" {
  protocol = "tcpmux"
  listen   = "[::1]:0"
}
listener "c" {
  protocol = "tcp"
  listen   = "localhost:0"
  service  = "Own.STATION"
}
station "Station" {
  lease     = "none"
  listeners = ["a"]
  service "Inherits" { builtin = "echo" }
  service "own" {
    listeners = ["B"]
    builtin   = "echo"
  }
}`))
	for i, want := range []struct {
		name      string
		listeners []string
	}{{"inherits.station", []string{"a"}}, {"own.station", []string{"b"}}} {
		got := c.Services[i]
		if string(got.Name) != want.name || !reflect.DeepEqual(got.Listeners, want.listeners) || got.Station != c.Stations[0] {
			t.Errorf("got %+v, want %+v", got, want)
		}
	}
	if served := c.Listeners[2].Service; served != "own.station" {
		t.Errorf("the tcp listener serves %q", served)
	}
}

func TestUnreadableFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "none.hcl")
	loaded, problems := Load(path)
	list := problems.List()
	if loaded != nil || len(list) != 1 || list[0].File != path || problems.Err() == nil {
		t.Errorf("got %v and %+v", loaded, list)
	}
}

func TestTooLargeFile(t *testing.T) {
	if _, problems := Load(write(t, strings.Repeat("#", maxFile+1))); problems.Err() == nil {
		t.Error("no error")
	}
	path := write(t, "12345")
	if src, err := readFile(path, 5); string(src) != "12345" || err != nil {
		t.Errorf("a file of just the allowed size: %q, %v", src, err)
	}
	if src, err := readFile(path, 4); src != nil || err == nil {
		t.Errorf("a file of one byte more: %q, %v", src, err)
	}
}

// Without checkNesting a few megabytes of these end the process: its stack overflows, which cannot be recovered from.
func TestDeepNestingIsHarmless(t *testing.T) {
	fill := func(s string) string { return strings.Repeat(s, maxOperators+1) }
	for name, source := range map[string]string{
		"brackets":     "x = " + fill("["),
		"parentheses":  "x = " + fill("("),
		"blocks":       fill("a{\n"),
		"templates":    "x = " + fill(`"${`),
		"directives":   `x = "` + fill("%{if a}"),
		"not":          "x = " + fill("!"),
		"minus":        "x = " + fill("-"),
		"sum":          "x = 1" + fill("+1"),
		"conditionals": "x = 1" + fill("?1:1"),
		"indexes":      "x = a" + fill("[b]"),
		"splats":       "x = a" + fill(".*"),
		"huge number":  `max_sessions_message = "${1e999999999}"`,
	} {
		t.Run(name, func(t *testing.T) {
			_, problems := Load(write(t, source))
			if err := problems.Err(); err == nil || !strings.Contains(err.Error(), "too complicated") {
				t.Errorf("got %.200v", err)
			}
		})
	}
}

func TestProblemsForPrograms(t *testing.T) {
	path := write(t, "max_sessions = 1\ncolour = 2\nservice \"a\" { builtin = \"echo\" }\n")
	_, problems := Load(path)
	want := []Problem{
		{path, 2, 1, "error", "Unsupported argument", `An argument named "colour" is not expected here.`},
		{path, 3, 1, "warning", "Service published nowhere", `It lists no "listeners", and no listener of protocol "tcp" names it.`},
	}
	if got := problems.List(); !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
	wantError := path + `:2: Unsupported argument: An argument named "colour" is not expected here.`
	if err := problems.Err(); err == nil || err.Error() != wantError {
		t.Errorf("got %v, want %s", err, wantError)
	}
	var plain, colour bytes.Buffer
	if err := errors.Join(problems.WriteText(&plain, false), problems.WriteText(&colour, true)); err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(plain.Bytes(), []byte("\x1b")) || !bytes.Contains(colour.Bytes(), []byte("\x1b[31m")) {
		t.Errorf("colour is wrong in %q or %q", plain.String(), colour.String())
	}
}
