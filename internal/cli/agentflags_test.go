package cli

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

	"github.com/spf13/pflag"

	"jackfield/internal/config"
	"jackfield/wire/inedo"
)

// fileListen is what a file says of listening.
func fileListen() *config.AgentListen {
	return &config.AgentListen{
		Address: ":46336", Encryption: "ssl", KeyFile: "file.key", CertificateFile: "file.pem", CertificateKeyFile: "file.pem.key",
		AllowedAddresses: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}, MaxHandshakes: 5, HandshakeTimeout: time.Second,
	}
}

func TestListenFlags(t *testing.T) {
	defaults := func(change func(*config.AgentListen)) *config.AgentListen {
		l := &config.AgentListen{Address: ":1", Encryption: "ssl", KeyFile: "k", MaxHandshakes: 100, HandshakeTimeout: 30 * time.Second}
		change(l)
		return l
	}
	over := func(change func(*config.AgentListen)) *config.AgentListen {
		l := fileListen()
		change(l)
		return l
	}
	for name, test := range map[string]struct {
		file  *config.AgentListen
		flags string
		want  *config.AgentListen
		wrong string
	}{
		"neither":       {nil, "", nil, ""},
		"the file":      {fileListen(), "", fileListen(), ""},
		"the flags":     {nil, "--listen :1 --key-file k", defaults(func(*config.AgentListen) {}), ""},
		"aes":           {nil, "--listen :1 --key-file k --encryption aes --aes-key-file a", defaults(func(l *config.AgentListen) { l.Encryption, l.AESKeyFile = "aes", "a" }), ""},
		"a certificate": {nil, "--listen :1 --key-file k --certificate c --certificate-key d", defaults(func(l *config.AgentListen) { l.CertificateFile, l.CertificateKeyFile = "c", "d" }), ""},
		"networks": {nil, "--listen :1 --key-file k --allow-from 10.1.2.3/8,::1 --allow-from 127.0.0.1", defaults(func(l *config.AgentListen) {
			l.AllowedAddresses = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("::1/128"), netip.MustParsePrefix("127.0.0.1/32")}
		}), ""},
		"another address": {fileListen(), "--listen 127.0.0.1:2", over(func(l *config.AgentListen) { l.Address = "127.0.0.1:2" }), ""},
		"another key":     {fileListen(), "--key-file k", over(func(l *config.AgentListen) { l.KeyFile = "k" }), ""},
		"another mode": {fileListen(), "--encryption none", over(func(l *config.AgentListen) {
			l.Encryption, l.CertificateFile, l.CertificateKeyFile = "none", "", ""
		}), ""},
		"another certificate": {fileListen(), "--certificate c --certificate-key d", over(func(l *config.AgentListen) { l.CertificateFile, l.CertificateKeyFile = "c", "d" }), ""},

		"no address":            {nil, "--key-file k", nil, "--listen is missing"},
		"networks alone":        {nil, "--allow-from ::1", nil, "--listen is missing"},
		"no key":                {nil, "--listen :1", nil, "--key-file is missing"},
		"a bad address":         {nil, "--listen host --key-file k", nil, "--listen: "},
		"a bad mode":            {nil, "--listen :1 --key-file k --encryption tls", nil, "ssl, aes or none"},
		"aes without its key":   {nil, "--listen :1 --key-file k --encryption aes", nil, "need each other"},
		"its key without aes":   {nil, "--listen :1 --key-file k --aes-key-file a", nil, "need each other"},
		"half a certificate":    {nil, "--listen :1 --key-file k --certificate c", nil, "need each other"},
		"the other half":        {fileListen(), "--certificate-key c", nil, "need each other"},
		"a certificate for aes": {nil, "--listen :1 --key-file k --encryption none --certificate c --certificate-key d", nil, "is for --encryption ssl"},
		"a bad network":         {nil, "--listen :1 --key-file k --allow-from plc.local", nil, "plc.local"},
	} {
		t.Run(name, func(t *testing.T) {
			var l listenFlags
			flags := pflag.NewFlagSet("run", pflag.ContinueOnError)
			l.define(flags)
			if err := flags.Parse(strings.Fields(test.flags)); err != nil {
				t.Fatal(err)
			}
			got, err := l.over(test.file)
			if test.wrong != "" {
				if !errors.As(err, new(usageError)) || !strings.Contains(err.Error(), test.wrong) {
					t.Errorf("got %+v, %v; want %s", got, err, test.wrong)
				}
				return
			}
			if err != nil || !reflect.DeepEqual(got, test.want) {
				t.Errorf("got %+v, %v; want %+v", got, err, test.want)
			}
		})
	}
}

// A key that is none stops the start.
func TestListeningKeys(t *testing.T) {
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	good, aes, bad := file("good", strings.Repeat("0f", 32)+"\n"), file("aes", strings.Repeat("0f", 16)+"\n"), file("bad", "0f\n")
	for name, test := range map[string]struct {
		listen config.AgentListen
		wrong  string
	}{
		"none":          {config.AgentListen{Encryption: "none", KeyFile: good}, ""},
		"aes":           {config.AgentListen{Encryption: "aes", KeyFile: good, AESKeyFile: aes}, ""},
		"no file":       {config.AgentListen{Encryption: "none", KeyFile: filepath.Join(dir, "missing")}, "missing"},
		"a bad key":     {config.AgentListen{Encryption: "none", KeyFile: bad}, bad},
		"a short key":   {config.AgentListen{Encryption: "none", KeyFile: aes}, aes},
		"a bad AES key": {config.AgentListen{Encryption: "aes", KeyFile: good, AESKeyFile: bad}, bad},
		"no certificate": {config.AgentListen{
			Encryption: "ssl", KeyFile: good, CertificateFile: filepath.Join(dir, "missing.pem"), CertificateKeyFile: good,
		}, "missing.pem"},
	} {
		how, err := listening(&test.listen, nil)
		if (err == nil) != (test.wrong == "") || err != nil && !strings.Contains(err.Error(), test.wrong) {
			t.Errorf("%s: %v", name, err)
		}
		if err == nil && (how.Key[0] != 0x0f || (how.Protocol.Mode == inedo.ModeAES) != (name == "aes")) {
			t.Errorf("%s: %+v", name, how.Protocol)
		}
	}
}

// What cannot change while the agent runs keeps the whole configuration from being taken.
func TestAgentReload(t *testing.T) {
	path := filepath.Join(t.TempDir(), "agent.hcl")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("")
	r := &agentRun{path: path, stderr: new(bytes.Buffer)}
	running, err := r.load()
	if err != nil {
		t.Fatal(err)
	}
	o := &offering{log: slog.New(slog.DiscardHandler)}
	for text, want := range map[string]string{
		"drain_timeout = \"1s\"\nallow = [\":22\"]\nservice \"ssh\" { address = \"127.0.0.1:22\" }": "",
		"listen { key_file = \"k\" }":                            "listen cannot change",
		"log { format = \"json\" }\nlisten { key_file = \"k\" }": "listen, log.format cannot change",
		"nonsense": "has mistakes",
	} {
		write(text)
		next, offer, err := r.reload(running, o)
		switch {
		case want != "":
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v", text, err)
			}
		case err != nil || next.DrainTimeout != time.Second || len(offer.Services) != 1 || offer.Allow("127.0.0.1:22") != nil:
			t.Errorf("%s: %+v, %v", text, next, err)
		}
	}
	if got := fmt.Sprint(r.stderr); !strings.Contains(got, "nonsense") {
		t.Errorf("the mistakes are %q", got)
	}
}
