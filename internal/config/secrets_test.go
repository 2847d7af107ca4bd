package config

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestFunctionsReturnSecrets(t *testing.T) {
	t.Setenv("JACKFIELD_TEST_MESSAGE", "from the environment")
	path := write(t, `
max_sessions_message = env("JACKFIELD_TEST_MESSAGE")
max_sessions         = file("count")
data_dir             = "${file("dir")}/x"
`)
	for name, content := range map[string]string{"count": "12\n", "dir": "/srv\r\n"} {
		if err := os.WriteFile(filepath.Join(filepath.Dir(path), name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	c := mustLoad(t, path)
	if c.Limits.Message != "from the environment" || c.Limits.MaxSessions != 12 || c.DataDir != "/srv/x" {
		t.Errorf("got %+v, data_dir %q", c.Limits, c.DataDir)
	}
}

// Wherever a secret may be written, and whatever is wrong there, no report shows it.
func TestSecretsAreNotReported(t *testing.T) {
	const secret = "s3cr3t-v4lue"
	t.Setenv("JACKFIELD_TEST_SECRET", secret)
	for _, s := range []string{
		`data_dir = [SECRET]`,
		`max_sessions = SECRET`,
		`max_sessions = SECRET + 1`,
		`max_rate = SECRET`,
		`max_sessions_message = "${SECRET}\n"`,
		`max_sessions_message = SECRET.attribute`,
		`max_sessions_message = SECRET[0]`,
		`max_sessions_message = {}[SECRET]`,
		`max_sessions_message = { (SECRET) = 1 }`,
		`max_sessions_message = { (SECRET) = 1 }.other`,
		`max_sessions_message = true ? { (SECRET) = 1 } : 5`,
		`max_sessions_message = [for x in [SECRET] : x.y]`,
		`max_sessions_message = { for x in [SECRET, SECRET] : x => x }`,
		`max_sessions_message = env(SECRET)`,
		`max_sessions_message = file(SECRET)`,
		`max_sessions_message = nothing(SECRET)`,
		`max_sessions_message = SECRET ? "a" : "b"`,
		`include = [SECRET, "${SECRET}[*"]`,
		`log { level = SECRET }`,
		`audit { max_size = SECRET }`,
		`admin { listen = SECRET }`,
		`rule "allow" { from = [SECRET] }`,
		`rule "allow" { services = ["${SECRET}?"] }`,
		`rule "allow" { when = user == SECRET }`,
		`listener "l" { service = "${SECRET} " }`,
		`listener "l" { protocol = SECRET }`,
		`service "s" { listeners = [SECRET] }`,
		`service "s" { address = SECRET }`,
		`service "s" { idle_timeout = SECRET }`,
		`service "s" { command = SECRET }`,
		`service "s" { command = ["./${SECRET}"] }`,
		`service "s" { command = ["a", "${SECRET}\u0000"] }`,
		`service "s" { kill_grace = SECRET }`,
		`watch = SECRET`,
		`user = "${SECRET}:"`,
		`groups = ["${SECRET} "]`,
		`umask = SECRET`,
		`directory = SECRET`,
		`nice = SECRET`,
		`env = SECRET`,
		`env = [SECRET]`,
		`env = { A = [SECRET] }`,
		`env = { A = "${SECRET}\u0000" }`,
		`env = { (SECRET) = "a" }`,
		`env = { "JACKFIELD_${SECRET}" = SECRET }`,
		`env = { A = { (SECRET) = 1 }.b }`,
		`env = { for x in [SECRET] : x => x }`,
		`env_keep = [SECRET]`,
		`env_keep = [replaced, SECRET]`,
		`env_unset = ["JACKFIELD_${SECRET}"]`,
		`limits { nofile = SECRET }`,
		`limits { as = SECRET }`,
		`station "s" { lease = SECRET }`,
		`service "${SECRET}" {}`,
		`store { url = SECRET }`,
		`store { url = "nats://${SECRET}@host" }`,
		`store { url = "nats://${SECRET}/" }`,
		`store { replicas = SECRET }`,
		`audit { retention = SECRET }`,
		`audit { retention_size = SECRET }`,
		`listener "l" { names = ["${SECRET}:"] }`,
		`listener "l" { min_tls = SECRET }`,
		`listener "l" { max_connections = SECRET }`,
		`user "a" { password_hash = SECRET }`,
		`user "a" { password_hash = [SECRET] }`,
		`user "a" { groups = ["${SECRET}:"] }`,
		`agent "${SECRET}_" {}`,
		`agent "a" { offers = ["${SECRET}_"] }`,
		`agent "a" { encryption = SECRET }`,
		`agent "a" { address = SECRET }`,
		`agent "a" { fingerprint = SECRET }`,
		`agent "a" { server_name = "${SECRET}_" }`,
		`service "s" { agent = "${SECRET}_" }`,
		`group "a" { members = ["${SECRET}:"] }`,
	} {
		t.Run(s, func(t *testing.T) {
			_, problems := Load(write(t, strings.ReplaceAll(s, "SECRET", `env("JACKFIELD_TEST_SECRET")`)))
			if !problems.HasErrors() {
				t.Fatal("no error")
			}
			checkNotReported(t, problems, secret)
		})
	}
}

// Nor does one show a secret that stands in the file, whatever else is wrong beside it.
func TestSecretsInTheFileAreNotReported(t *testing.T) {
	const secret = "s3cr3t-v4lue"
	const key = "00112233445566778899aabbccddeeff" // of 128 bits; two are one of 256
	for _, s := range []string{
		`user "a" { password_hash = "SECRET" }`,
		`user "a b" { password_hash = "$argon2id$v=19$m=8,t=1,p=1$c2l4dGVlbiBieXRlcyBvaw$SECRET" }`,
		`user "a" { password_hash = SECRET }`,
		`user "a" { password_hash "SECRET" }`,
		`user "a" { password_hash = "SECRET }`,
		`user "a" { password_hash = "SECRET" admin = true }`,
		`user "a" { password_hash = { "SECRET" = "SECRET" }.other }`,
		`user "a" { password_hash = ["SECRET"] }`,
		`user "a" { password_hash = "\qSECRET" }`,
		`user "a" { password_hash = file("none", "SECRET") }`,
		"user \"a\" {\npassword_hash = <<X\nSECRET\nX\n}",
		`user "a" { hash = "$argon2id$SECRET" }`,
		`agent "a" { key = "KEY" }`,
		`agent "a" { key_file = "KEYKEY" }`,
		`agent "a" { fingerprint = ["KEY"] }`,
		`store { url = "nats://ann:SECRET@host" }`,
		`store { url = "ann:SECRET@host" }`,
		`store { url = "http://SECRET@host }`,
		`store { uri = "nats://ann:SECRET@host" }`,
	} {
		t.Run(s, func(t *testing.T) {
			_, problems := Load(write(t, strings.NewReplacer("SECRET", secret, "KEY", key).Replace(s)))
			if !problems.HasErrors() {
				t.Fatal("no error")
			}
			checkNotReported(t, problems, secret)
			checkNotReported(t, problems, key)
		})
	}
}

func checkNotReported(t *testing.T, problems *Problems, secret string) {
	t.Helper()
	var text bytes.Buffer
	if err := problems.WriteText(&text, true); err != nil {
		t.Fatal(err)
	}
	list, err := json.Marshal(problems.List())
	if err != nil {
		t.Fatal(err)
	}
	for _, report := range []string{text.String(), string(list), problems.Err().Error()} {
		if strings.Contains(report, secret) {
			t.Error(report)
		}
	}
}
