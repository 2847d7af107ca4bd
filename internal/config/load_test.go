package config

import (
	"bytes"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
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

func TestDefaults(t *testing.T) {
	path := write(t, "")
	got := mustLoad(t, path)
	want := &Config{
		DataDir: "/var/lib/jackfield",
		Log:     Log{slog.LevelInfo, "auto"},
		Audit:   Audit{filepath.FromSlash("/var/lib/jackfield/audit.jsonl"), 64 << 20, 8, 90 * 24 * time.Hour, 1 << 30},

		DrainTimeout: 10 * time.Second,
		Files:        []string{path},
	}
	got.fixedAt = nil
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

func TestFilesToWatch(t *testing.T) {
	path := write(t, `
include = ["a.d/*.hcl", "b.d/*/*.hcl", "a.d/[x].hcl", "one.hcl"]
max_sessions_message = file("message")`)
	dir := filepath.Dir(path)
	for name, content := range map[string]string{
		"a.d/x.hcl": "", "b.d/c/y.hcl": `log { level = file("level") }`, "one.hcl": "", "message": "x", "level": "warn", "stray.hcl": "",
	} {
		name = filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	in := func(names ...string) []string {
		for i := range names {
			names[i] = filepath.Join(dir, names[i])
		}
		return names
	}
	c := mustLoad(t, path)
	if want := in("jackfield.hcl", "a.d/x.hcl", "b.d/c/y.hcl", "one.hcl", "message", "level"); !reflect.DeepEqual(c.Files, want) {
		t.Errorf("files are %q, want %q", c.Files, want)
	}
	if want := in("a.d", "b.d"); !reflect.DeepEqual(c.Dirs, want) {
		t.Errorf("directories are %q, want %q", c.Dirs, want)
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

// A configuration that is not stored anywhere is read as if it stood at the path.
func TestLoadText(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "more.hcl"), []byte(`listener "mux" {
  protocol = "tcpmux"
  listen   = "127.0.0.1:0"
}`), 0o600); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "jackfield.hcl")
	c, problems := LoadText(path, []byte(`include = ["more.hcl"]`))
	if c == nil || len(c.Listeners) != 1 || c.DataDir != "/var/lib/jackfield" {
		t.Errorf("%v, %v", c, problems.Err())
	}
	if c, _ := LoadText(path, bytes.Repeat([]byte("#"), 1<<20+1)); c != nil {
		t.Error("a text without end is read")
	}
}
