package config

import (
	"cmp"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"

	"jackfield/internal/access"
)

func TestExampleLoads(t *testing.T) {
	loaded, problems := Load("reference/example.hcl")
	for _, p := range problems.List() {
		t.Errorf("%+v", p)
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
		Rules: []access.Rule{{Allow: true}}, Mapper: "corp",
	}
	want := &Config{
		DataDir: "/var/lib/jackfield",
		Log:     Log{slog.LevelInfo, "auto"},
		Audit:   Audit{"reference/audit.jsonl", 64 << 20, 8, 365 * 24 * time.Hour, 4 << 30},
		Store: Store{
			URL: "nats://10.2.0.1:4222,nats://10.2.0.2:4222,nats://10.2.0.3:4222", Replicas: 3,
			CredentialsFile: "reference/nats.creds", CAFile: "reference/nats-ca.pem",
			CertificateFile: "reference/nats.pem", KeyFile: "reference/nats.key",
		},
		Admin:   &Admin{Listen: "127.0.0.1:9078"},
		Program: Program{Umask: new(0o022), Env: map[string]string{"LANG": "C.UTF-8"}},
		Watch:   true, DrainTimeout: 30 * time.Second,
		Files: []string{"reference/example.hcl", "reference/ann.hash"}, Dirs: []string{"reference/conf.d"},
		Rules: []access.Rule{
			{From: prefixes("10.66.0.0/16", "2001:db8:66::/48")},
			{Allow: true},
		},
		Limits: access.Limits{
			MaxSessions: 5000, MaxSessionsPerSource: 200,
			Rate: access.Rate{Count: 500, Period: time.Second}, RatePerSource: access.Rate{Count: 600, Period: time.Minute},
			Message: "all lines are in use, try again later",
		},
		Mapper: "watchman",
		Mappers: []*Mapper{
			{
				Name: "watchman", Path: "/usr/local/lib/jackfield/watchman", Args: []string{}, Nice: 10, Timeout: 5 * time.Second, KillHung: true,
				MaxProcesses: 4, Batch: 1, Warm: 2, Cache: 10 * time.Second,
			},
			{
				Name: "corp", Path: "/usr/local/lib/jackfield/authz", Args: []string{"--strict"}, Nice: 5, Timeout: 3 * time.Second,
				User: "nobody", Env: map[string]string{"AUTHZ_DATABASE": "/var/lib/authz"}, EnvKeep: []string{"TZ"},
				KillHung: true, MaxProcesses: 16, Batch: 50, Resolve: true, ShowReason: true,
				Accept: []string{"max-seconds", "idle-seconds", "audit-note"}, MaxConnections: 5,
			},
		},
		Devices: []*Device{
			{
				Name: "meter-7", Listeners: []string{"field"}, From: prefixes("10.1.0.7/32"), CloseDelay: 500 * time.Millisecond,
				Linger: 20 * time.Second, StallTimeout: 3 * time.Second, StallBytes: 64 << 10, Probe: time.Minute,
			},
			{
				Name: "meter-8", Listeners: []string{"field-tls"}, CloseDelay: time.Second,
				Linger: 30 * time.Second, StallTimeout: 2 * time.Second, StallBytes: 128 << 10,
			},
		},
		Agents: []*Agent{
			{
				Name: "lab-pi", Offers: []string{"*.fpga-*"}, Listeners: []string{"web", "mux"}, Encryption: "none",
				IdleTimeout: time.Hour, MaxDuration: 24 * time.Hour, Limits: access.Limits{MaxSessions: 20}, Mapper: "corp",
				Rules: []access.Rule{{Allow: true, Groups: []string{"lab"}}},
			},
			{
				Name: "lab-*", Pattern: true, Listeners: []string{"web"}, Encryption: "ssl",
				Rules: []access.Rule{{Allow: true, Users: []string{"*"}}},
			},
			{
				Name: "plant-3", Listeners: []string{"web"}, Encryption: "ssl", Address: "10.3.0.9:46336", KeyFile: "reference/plant-3.key",
				CAFile: "reference/plants.pem", ServerName: "plant-3.example.org",
			},
			{
				Name: "plant-4", Listeners: []string{"web"}, Encryption: "ssl", Address: "10.4.0.9:46337", KeyFile: "reference/plant-4.key",
				Fingerprint: "a0562b9f7d11e843c5903e6db2f408771caa5e39d0846f12eb9745c8603bfd24",
			},
			{
				Name: "plant-5", Encryption: "aes", Address: "plant-5.example.org:46336",
				KeyFile: "reference/plant-5.key", AESKeyFile: "reference/plant-5.aes",
			},
		},
		Users: []*User{
			{
				Name: "ann", Groups: []string{"lab"}, Admin: true,
				PasswordHash: "$argon2id$v=19$m=65536,t=3,p=4$c2l4dGVlbiBieXRlcyBvaw$dGhpcnR5LXR3byBieXRlcyBtYWtlIHRoZSBoYXNoIG8",
			},
			{Name: "guest"},
		},
		Groups: []*Group{
			{Name: "visitors", Members: []string{"guest", "eve@example.org"}},
		},
		Listeners: []*Listener{
			{
				Name: "mux", Protocol: "tcpmux", Mapper: "corp", Listen: "127.0.0.1:1078", ProxyProtocolFrom: prefixes("127.0.0.2/32"),
				AcceptMessage: "go ahead", Program: Program{EnvKeep: []string{"TZ"}},
				Rules: []access.Rule{
					{Services: []string{"*.fpga-2"}},
					{Allow: true, From: prefixes("127.0.0.0/8", "10.0.0.0/8")},
				},
			},
			{
				Name: "web", Protocol: "https", Listen: ":8443", Names: []string{"jackfield.example.org", "10.1.0.9"},
				CertificateFile: "reference/jackfield.pem", KeyFile: "reference/jackfield.key", MinTLS: "1.2",
				Agents: true, ClientCertificates: "optional", MaxConnections: 500, MaxConnectionsPerSource: 50,
			},
			{
				Name: "proxied", Protocol: "http", Listen: "10.1.0.9:8080", Insecure: true,
				Rules: []access.Rule{{Allow: true, Groups: []string{"lab"}}},
			},
			{Name: "meter", Protocol: "tcp", Listen: "127.0.0.1:2323", Service: "telnet", Limits: access.Limits{MaxSessions: 10}},
			{Name: "field", Protocol: "mihini", Listen: ":2065", ListenTimeout: 5 * time.Second},
			{Name: "field-tls", Protocol: "mihini", Listen: ":2066", TLS: true, Names: []string{"field.example.org"}},
			{Name: "meter-ports-7001", Protocol: "tcp", Listen: "127.0.0.1:7001", Service: "console", CloseWhenDown: true},
			{Name: "meter-ports-7002", Protocol: "tcp", Listen: "127.0.0.1:7002", Service: "modbus", CloseWhenDown: true},
			{Name: "data", Protocol: "agent-data", Listen: "10.1.0.9:8444", Rules: []access.Rule{{Allow: true, From: prefixes("10.1.0.0/16")}}},
		},
		Services: []*Service{
			{Name: "time", Listeners: []string{"mux"}, Builtin: "time"},
			{
				Name: "upper", Listeners: []string{"mux"}, Limits: access.Limits{MaxSessions: 20},
				Command: &Command{
					Path: "/usr/bin/tr", Args: []string{"a-z", "A-Z"}, Arg0: "upper", SockEnv: true, KillGrace: 2 * time.Second,
				},
				Program: Program{
					User: "nobody", Group: "nogroup", Groups: []string{"nogroup"}, Umask: new(0o027),
					Env: map[string]string{"LC_ALL": "C", "GREETING": "hello"}, EnvUnset: []string{"LANG"},
					Directory: "/", Nice: new(5),
					Limits: map[string]uint64{
						"nofile": 256, "nproc": Unlimited, "cpu": 60, "as": 512 << 20, "fsize": 1 << 30, "core": 0,
					},
				},
			},
			{
				Name: "web", Listeners: []string{"mux"}, Description: "the intranet", Addresses: []string{"10.1.0.1:80", "10.1.0.2:80"},
				DialTimeout: 5 * time.Second, SendProxyProtocol: "v2", Mapper: "corp", Limits: access.Limits{MaxSessions: 100},
				Rules: []access.Rule{
					{From: prefixes("10.9.0.0/16")},
					{Allow: true},
				},
			},
			{Name: "console", Device: "meter-7", Addresses: []string{":23"}, DialTimeout: 10 * time.Second},
			{Name: "modbus", Device: "meter-7", Addresses: []string{"192.168.1.9:502"}, DialTimeout: 10 * time.Second},
			{Name: "ssh", Agent: "lab-pi", Listeners: []string{"mux"}, Addresses: []string{":22"}, DialTimeout: 10 * time.Second},
			{Name: "uptime", Agent: "lab-pi", Listeners: []string{"mux"}, DialTimeout: 5 * time.Second},
			{
				Name: "telnet", Addresses: []string{"127.0.0.1:23"}, DialTimeout: 10 * time.Second,
				IdleTimeout: 30 * time.Minute, MaxDuration: 12 * time.Hour,
			},
			{
				Name: "app", Listeners: []string{"mux"}, Addresses: []string{"unix:/run/app.sock"}, DialTimeout: 10 * time.Second,
			},
			{
				Name: "console.fpga-1", Station: station, Listeners: []string{"mux", "web"}, Addresses: []string{"127.0.0.1:2001"},
				DialTimeout: 10 * time.Second,
				Rules: []access.Rule{
					{Users: []string{"guest"}},
					{Groups: []string{"visitors"}},
					{Allow: true},
				},
			},
			{
				Name: "power.fpga-1", Station: station, Listeners: []string{"mux", "web"}, Addresses: []string{"127.0.0.1:2002"},
				DialTimeout: 10 * time.Second, Web: true,
			},
		},
		Stations: []*Station{station},
	}
	for _, l := range want.Listeners {
		fillDefaults(l)
	}
	if !reflect.DeepEqual(loaded, want) {
		t.Errorf("got\n%s\nwant\n%s", dump(loaded), dump(want))
	}
}

// fillDefaults sets what every listener has, whatever its protocol, unless its block says otherwise.
func fillDefaults(l *Listener) {
	l.NameTimeout = cmp.Or(l.NameTimeout, 10*time.Second)
	l.ListenTimeout = cmp.Or(l.ListenTimeout, 10*time.Second)
	l.MinTLS = cmp.Or(l.MinTLS, "1.3")
	l.ClientCertificates = cmp.Or(l.ClientCertificates, "off")
	l.MaxConnections = cmp.Or(l.MaxConnections, 1000)
	l.MaxConnectionsPerSource = cmp.Or(l.MaxConnectionsPerSource, 100)
}

// dump writes a configuration a line for each thing, following pointers.
func dump(c *Config) string {
	top := *c
	top.Listeners, top.Services, top.Stations, top.Mappers, top.Devices, top.Program = nil, nil, nil, nil, nil, Program{}
	top.Users, top.Groups, top.Agents = nil, nil, nil
	lines := []string{fmt.Sprintf("%+v %+v %s", top, *c.Admin, asJSON(c.Program))}
	for _, m := range c.Mappers {
		lines = append(lines, fmt.Sprintf("%+v", *m))
	}
	for _, d := range c.Devices {
		lines = append(lines, fmt.Sprintf("%+v", *d))
	}
	for _, a := range c.Agents {
		lines = append(lines, fmt.Sprintf("%+v", *a))
	}
	for _, u := range c.Users {
		lines = append(lines, fmt.Sprintf("%+v", *u))
	}
	for _, g := range c.Groups {
		lines = append(lines, fmt.Sprintf("%+v", *g))
	}
	for _, l := range c.Listeners {
		plain := *l
		plain.Program = Program{}
		lines = append(lines, fmt.Sprintf("%+v %s", plain, asJSON(l.Program)))
	}
	for _, s := range c.Services {
		plain := *s
		plain.Station, plain.Command, plain.Program = nil, nil, Program{}
		lines = append(lines, fmt.Sprintf("%+v %s %s of %+v", plain, asJSON(s.Command), asJSON(s.Program), s.Station))
	}
	for _, s := range c.Stations {
		lines = append(lines, fmt.Sprintf("%+v", *s))
	}
	return strings.Join(lines, "\n")
}

func asJSON(v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// forgetPlaces removes what has tests of its own: places and conditions.
func forgetPlaces(c *Config) {
	clean := func(rules []access.Rule) {
		for i := range rules {
			rules[i].Where, rules[i].When = "", nil
		}
	}
	clean(c.Rules)
	c.fixedAt = nil
	c.Admin.Where, c.Store.Where = "", ""
	for _, u := range c.Users {
		u.Where = ""
	}
	for _, g := range c.Groups {
		g.Where = ""
	}
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
	for _, m := range c.Mappers {
		m.Where = ""
	}
	for _, d := range c.Devices {
		d.Where = ""
	}
	for _, a := range c.Agents {
		a.Where = ""
		clean(a.Rules)
	}
}
