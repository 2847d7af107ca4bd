package importer

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// echoBlock is a service of xinetd's with further lines.
func echoBlock(lines ...string) string {
	return "service echo\n{\n type = INTERNAL UNLISTED\n socket_type = stream\n port = 7\n wait = no\n " +
		strings.Join(lines, "\n ") + "\n}\n"
}

// TestFailsClosed looks at what restricts access and cannot be translated.
func TestFailsClosed(t *testing.T) {
	for name, source := range map[string]string{
		"a name in no_access":       echoBlock("no_access = host.example.com"),
		"a short address":           echoBlock("no_access = 192.168.1"),
		"a netmask":                 echoBlock("no_access = 10.0.0.0/255.0.0.0"),
		"only names in only_from":   echoBlock("only_from = localhost"),
		"an empty only_from":        echoBlock("only_from ="),
		"nothing left in only_from": echoBlock("only_from = 10.0.0.1", "only_from -= 10.0.0.1"),
		"taken away, but what":      echoBlock("only_from = 10.0.0.1 10.0.0.2", "only_from -= 10.2"),
		"identification":            echoBlock("flags = IDONLY"),
		"minutes":                   echoBlock("access_times = 8:10-8:20"),
		"no instances":              echoBlock("instances = 0"),
		"none per source":           echoBlock("per_source = 00"),
		"names in the defaults":     "defaults\n{\n no_access = .example.com\n}\n" + echoBlock(),
		"instances in the defaults": echoBlock() + "defaults\n{\n instances = 0\n}\n",
	} {
		t.Run(name, func(t *testing.T) {
			out, result := translate(t, options.Xinetd, "x", source)
			if result.Services != 1 || strings.Count(out, "  rule ") != 1 || !strings.Contains(out, "\n  rule \"deny\" {}\n") {
				t.Errorf("the service is not closed:\n%s", out)
			}
		})
	}
}

// TestLeavesOut looks at what xinetd would not start.
func TestLeavesOut(t *testing.T) {
	for name, source := range map[string]string{
		"bad instances":           echoBlock("instances = many"),
		"bad flag":                echoBlock("flags = FAST"),
		"bad type":                echoBlock() + strings.Replace(echoBlock(), "UNLISTED", "UNKNOWN", 1),
		"bad time":                echoBlock("access_times = 8:00"),
		"bad address":             echoBlock("only_from = 10.{1"),
		"bad disable":             echoBlock("disable = maybe"),
		"bad v6only":              echoBlock("v6only = maybe"),
		"bad bind":                echoBlock("bind = a..b"),
		"bad line":                echoBlock("only_from=10.0.0.1"),
		"no end":                  strings.TrimSuffix(echoBlock(), "}\n"),
		"bytes":                   echoBlock("only_from = 10.0.0.1\xff"),
		"two families":            echoBlock("flags = IPv4 IPv6"),
		"a sensor":                echoBlock("flags = SENSOR"),
		"bad number in defaults":  "defaults\n{\n cps = 5 x\n}\n" + echoBlock(),
		"bad line in defaults":    "defaults\n{\n only_from=10.0.0.1\n}\n" + echoBlock(),
		"bad address in defaults": "defaults\n{\n only_from = 10.0.0.1,\n}\n" + echoBlock(),
		"not enabled":             "defaults\n{\n enabled = other\n}\n" + echoBlock(),
		"nothing enabled":         "defaults\n{\n enabled =\n}\n" + echoBlock(),
		"disabled":                "defaults\n{\n disabled = echo\n}\n" + echoBlock(),
		"disabled beside enabled": "defaults\n{\n enabled = echo\n}\n" + echoBlock("disable = yes"),
		"the same address again":  echoBlock() + echoBlock("id = again"),
	} {
		t.Run(name, func(t *testing.T) {
			out, result := translate(t, options.Xinetd, "x", source)
			want := strings.Count(source, "service ") - 1
			if result.Services != want {
				t.Errorf("%d services, want %d:\n%s", result.Services, want, out)
			}
		})
	}
}

// TestSecondDefaults shows that a further defaults block opens nothing.
func TestSecondDefaults(t *testing.T) {
	defaults := func(address string) string { return "defaults\n{\n only_from = " + address + "\n}\n" }
	out, _ := translate(t, options.Xinetd, "x", defaults("10.0.0.1")+defaults("0.0.0.0")+echoBlock())
	if !strings.Contains(out, `rule "allow" { from = ["10.0.0.1"] }`) {
		t.Error(out)
	}
}

func TestIncludes(t *testing.T) {
	files := map[string]string{
		"/etc/xinetd.conf":  "defaults\n{\n only_from = 127.0.0.1\n}\nincludedir xinetd.d\ninclude missing\ninclude loop\n",
		"/etc/xinetd.d":     "",
		"/etc/xinetd.d/one": echoBlock(),
		"/etc/loop":         "include loop\n",
	}
	o := options
	o.Include = func(path string, dir bool) ([]File, error) {
		data, found := files[filepath.ToSlash(path)]
		switch {
		case !found:
			return nil, errors.New("no such file")
		case dir:
			path += "/one"
			data = files[filepath.ToSlash(path)]
		}
		return []File{{Name: path, Data: []byte(data)}}, nil
	}
	out, result := translate(t, o.Xinetd, "/etc/xinetd.conf", files["/etc/xinetd.conf"])
	for _, want := range []string{
		"# /etc/xinetd.d/one:1\n", `rule "allow" { from = ["127.0.0.1"] }`,
		"# not translated: include missing, /etc/xinetd.conf:6: no such file\n",
		"# not translated: include loop, /etc/loop:1: files are included 8 deep already\n",
	} {
		if !strings.Contains(filepath.ToSlash(out), want) {
			t.Errorf("%q is missing in\n%s", want, out)
		}
	}
	if result.Services != 1 {
		t.Errorf("%d services", result.Services)
	}
}

func TestReadInclude(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"b", "a", "old~", "a.rpmsave"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(name), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(dir, "c"), 0o755); err != nil {
		t.Fatal(err)
	}
	files, err := ReadInclude(dir, true)
	if err != nil || len(files) != 2 || string(files[0].Data) != "a" || string(files[1].Data) != "b" {
		t.Errorf("%v, %v", files, err)
	}
	if _, err := ReadInclude(dir, false); err == nil {
		t.Error("a directory is taken for a file")
	}
	large := filepath.Join(dir, "large")
	if err := os.WriteFile(large, make([]byte, MaxFile+1), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadFile(large); err == nil {
		t.Error("a file that is too large is read")
	}
}

func TestBounds(t *testing.T) {
	many := strings.Repeat("tcpmux/a stream tcp nowait root internal\n", maxEntries)
	if _, err := options.Inetd(File{Name: "x", Data: []byte(many)}); err != nil {
		t.Error(err)
	}
	for name, files := range map[string][]File{
		"services": {{Name: "x", Data: []byte(many + "one more")}},
		"bytes":    {{Name: "x", Data: make([]byte, MaxFile+1)}},
		"files":    make([]File, maxFiles+1),
		"output":   {{Name: "x", Data: []byte(echoBlock(strings.Repeat(" x = "+strings.Repeat("a", 190)+"\n", 5000)))}},
	} {
		if _, err := options.Xinetd(files...); err == nil && name != "services" {
			t.Errorf("xinetd: too many %s are taken", name)
		}
		if _, err := options.Inetd(files...); err == nil && name != "output" {
			t.Errorf("inetd: too many %s are taken", name)
		}
	}
}
