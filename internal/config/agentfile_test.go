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
)

func loadAgent(t testing.TB, source string) *AgentFile {
	t.Helper()
	loaded, problems := LoadAgentFile(write(t, source))
	if loaded == nil {
		t.Fatal(problems.Err())
	}
	return loaded
}

func TestAgentExampleLoads(t *testing.T) {
	loaded, problems := LoadAgentFile("reference/agent.hcl")
	for _, p := range problems.List() {
		t.Errorf("%+v", p)
	}
	if loaded == nil {
		t.FailNow()
	}
	want := &AgentFile{
		Listen: &AgentListen{
			Address: "0.0.0.0:46336", Encryption: "ssl", KeyFile: "reference/agent.key",
			CertificateFile: "reference/agent.pem", CertificateKeyFile: "reference/agent-certificate.key",
			AllowedAddresses: []netip.Prefix{netip.MustParsePrefix("10.1.0.0/24"), netip.MustParsePrefix("2001:db8::9/128")},
			MaxHandshakes:    50, HandshakeTimeout: 10 * time.Second,
		},
		Services: []*AgentService{
			{
				Name: "console.fpga-1", Description: "Kintex board, rack 3", Addresses: []string{"127.0.0.1:2001", "unix:/run/console.sock"},
				Where: "agent.hcl:4",
			},
			{
				Name: "uptime", Where: "agent.hcl:9",
				Command: &Command{
					Path: "/usr/bin/uptime", Args: []string{"--pretty"}, Arg0: "uptime", StderrSocket: true, KillGrace: 2 * time.Second,
				},
				Program: Program{
					User: "nobody", Group: "nogroup", Groups: []string{"nogroup"}, Umask: new(0o027),
					Env: map[string]string{"LC_ALL": "C"}, EnvKeep: []string{"TZ"},
					Directory: "/", Nice: new(5),
					Limits: map[string]uint64{"nofile": 256, "nproc": 16, "cpu": 60, "as": 512 << 20, "fsize": 0, "core": 0},
				},
			},
		},
		Allow:        []string{"127.0.0.1:22", "192.168.1.0/24:80", "plc.local:502"},
		DrainTimeout: 30 * time.Second,
		Mihini:       MihiniTunnel{Server: "gw.example.org:2065", Local: ":23"},
		Log:          Log{slog.LevelDebug, "json"},
	}
	if !reflect.DeepEqual(loaded, want) {
		t.Errorf("got %s, want %s", asJSON(loaded), asJSON(want))
	}
}

func TestAgentFileDefaults(t *testing.T) {
	want := &AgentFile{DrainTimeout: 10 * time.Second, Log: Log{slog.LevelInfo, "auto"}}
	if got := loadAgent(t, ""); !reflect.DeepEqual(got, want) {
		t.Errorf("got %s, want %s", asJSON(got), asJSON(want))
	}
	path := write(t, `listen { key_file = "agent.key" }`)
	got, _ := LoadAgentFile(path)
	want.Listen = &AgentListen{
		Address: ":46336", Encryption: "ssl", KeyFile: filepath.Join(filepath.Dir(path), "agent.key"), MaxHandshakes: 100, HandshakeTimeout: 30 * time.Second,
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %s, want %s", asJSON(got), asJSON(want))
	}
}

// A file in testdata/agent/bad is one that LoadAgentFile reports as its golden file says.
func TestBadAgentFiles(t *testing.T) {
	for _, path := range configurations(t, "testdata/agent/bad") {
		t.Run(filepath.Base(path), func(t *testing.T) {
			loaded, problems := LoadAgentFile(path)
			if loaded != nil || problems.Err() == nil {
				t.Errorf("no error, and the configuration %v", loaded)
			}
			compareReport(t, path, problems)
		})
	}
}

func TestUnreadableAgentFile(t *testing.T) {
	loaded, problems := LoadAgentFile(filepath.Join(t.TempDir(), "none.hcl"))
	if loaded != nil || problems.Err() == nil {
		t.Errorf("got %v", loaded)
	}
}

func TestServicesOfAnAgentHaveAnEnd(t *testing.T) {
	var source strings.Builder
	for i := range maxAgentServices {
		fmt.Fprintf(&source, "service \"s%d\" { address = \"127.0.0.1:80\" }\n", i)
	}
	if n := len(loadAgent(t, source.String()).Services); n != maxAgentServices {
		t.Errorf("%d services", n)
	}
	_, problems := LoadAgentFile(write(t, source.String()+`service "more" { address = "127.0.0.1:80" }`))
	if err := problems.Err(); err == nil || !strings.Contains(err.Error(), "128 services") {
		t.Errorf("one more: %v", err)
	}
}

func TestAgentFileFixedChanges(t *testing.T) {
	for name, c := range map[string]struct {
		old, next string
		want      []string
	}{
		"what is live":       {`allow = [":22"]`, "drain_timeout = \"1s\"\nlog { level = \"debug\" }\nservice \"a\" { address = \"a:1\" }", nil},
		"the log's format":   {``, `log { format = "json" }`, []string{"log.format"}},
		"listens":            {``, `listen { key_file = "a" }`, []string{"listen"}},
		"listens otherwise":  {`listen { key_file = "/a" }`, "listen {\n key_file = \"/a\"\n allowed_addresses = [\"::1\"]\n}", []string{"listen"}},
		"listens as it does": {`listen { key_file = "/a" }`, "listen {\n key_file = \"/a\"\n address = \":46336\"\n}", nil},
	} {
		t.Run(name, func(t *testing.T) {
			if got := loadAgent(t, c.old).FixedChanges(loadAgent(t, c.next)); !reflect.DeepEqual(got, c.want) {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func TestSecretsOfAgentFilesAreNotReported(t *testing.T) {
	const secret = "s3cr3t-v4lue"
	const key = "00112233445566778899aabbccddeeff"
	t.Setenv("JACKFIELD_TEST_SECRET", secret)
	for _, s := range []string{
		`allow = SECRET`,
		`service "${SECRET}" {}`,
		`service "a" { address = SECRET }`,
		`service "a" { command = ["./${SECRET}"] }`,
		`mihini { local = SECRET }`,
		`listen { address = SECRET }`,
		`listen { encryption = SECRET }`,
		`listen { key_file = "KEY" }`,
		`listen { key_file = "KEYKEY" }`,
		`listen { aes_key = "KEY" }`,
		`listen { allowed_addresses = [SECRET] }`,
	} {
		t.Run(s, func(t *testing.T) {
			source := strings.NewReplacer("SECRET", `env("JACKFIELD_TEST_SECRET")`, "KEY", key).Replace(s)
			_, problems := LoadAgentFile(write(t, source))
			if !problems.HasErrors() {
				t.Fatal("no error")
			}
			checkNotReported(t, problems, secret)
			checkNotReported(t, problems, key)
		})
	}
}

// FuzzLoadAgentFile holds that no file makes LoadAgentFile panic, and that it returns a configuration or an error, never both.
func FuzzLoadAgentFile(f *testing.F) {
	paths, err := filepath.Glob("testdata/agent/bad/*.hcl")
	for _, path := range append(paths, "reference/agent.hcl") {
		source, readErr := os.ReadFile(path)
		err = errors.Join(err, readErr)
		f.Add(source)
	}
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, source []byte) {
		loaded, problems := LoadAgentFile(write(t, string(source)))
		if (loaded == nil) != problems.HasErrors() {
			t.Errorf("configuration %v with the problems %v", loaded, problems.List())
		}
		if err := problems.WriteText(new(bytes.Buffer), false); err != nil {
			t.Error(err)
		}
	})
}
