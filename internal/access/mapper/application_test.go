//go:build unix

package mapper

import (
	"context"
	"reflect"
	"strings"
	"testing"
	"time"

	"jackfield"
	"jackfield/wire/mapper"
)

// remember is a policy that allows and remembers what it was asked.
type remember struct{ asked *jackfield.Request }

func (p *remember) Decide(_ context.Context, r *jackfield.Request) jackfield.Decision {
	p.asked = r
	return jackfield.Decision{Allow: true, Reason: "remembered"}
}

// What a Mapper sends, an application understands.
func TestEntriesBothWays(t *testing.T) {
	m := start(t, "echo")
	sent := request(func(r *jackfield.Request) {
		r.Service = "console.fpga-1"
		r.Identity = jackfield.Identity{User: "a:b=c", Groups: []string{"lab", "x"}, Proof: jackfield.ProofKerberos}
	})
	var p remember
	answer := Application(&p)(t.Context(), mapper.Request{Entries: m.entries(t.Context(), sent)})
	if !answer.Success || answer.Text != "remembered" {
		t.Fatalf("got %+v", answer)
	}
	got := *p.asked
	got.Time = time.Time{}
	want := jackfield.Request{
		ID: "inst-7", Listener: "mux", Protocol: "tcpmux", Service: "console.fpga-1", Identity: sent.Identity, Source: got.Source,
	}
	if !reflect.DeepEqual(got, want) || got.Source.Addr() != sent.Source.Addr() {
		t.Errorf("understood %+v, want %+v", got, want)
	}
}

func TestApplicationFailsClosed(t *testing.T) {
	for name, test := range map[string]struct{ entries, says string }{
		"no address":       {"user=1:ann", "no addr-ip"},
		"bad address":      {"addr-ip=10.0.0.0/8", "no IP address"},
		"two addresses":    {"addr-ip=10.0.0.1 addr-ip=10.0.0.2", "twice"},
		"user, no number":  {"addr-ip=10.0.0.1 user=ann", "ID:NAME"},
		"user, no name":    {"addr-ip=10.0.0.1 user=1:", "ID:NAME"},
		"two users":        {"addr-ip=10.0.0.1 user=1:ann user=2:eve", "twice"},
		"bad service":      {"addr-ip=10.0.0.1 service=..", "not the name of a service"},
		"two services":     {"addr-ip=10.0.0.1 service=a service=b", "twice"},
		"nobody, then eve": {"addr-ip=10.0.0.1 user=65534:nobody user=2:eve", "twice"},
	} {
		t.Run(name, func(t *testing.T) {
			var entries mapper.Entries
			for word := range strings.FieldsSeq(test.entries) {
				key, value, _ := strings.Cut(word, "=")
				entries = append(entries, mapper.Entry{Key: key, Value: value})
			}
			var p remember
			answer := Application(&p)(t.Context(), mapper.Request{Entries: entries})
			if answer.Success || !strings.Contains(answer.Text, test.says) || p.asked != nil {
				t.Errorf("got %+v", answer)
			}
		})
	}
}

func TestTry(t *testing.T) {
	var lines []string
	trace := &mapper.Trace{Sent: func(line string) { lines = append(lines, line) }}
	m := start(t, "rules")
	for address, allow := range map[string]bool{"192.0.2.7": true, "192.0.2.8": false} {
		lines = nil
		d, err := Try(t.Context(), m.given, mapper.Entries{{Key: "addr-ip", Value: address}, {Key: "service", Value: "web"}}, trace, m.Mapper.log)
		if err != nil || d.Allow != allow {
			t.Errorf("%s: %+v, %v", address, d, err)
		}
		if want := "version:1 request:1 addr-ip=" + address + " service=web end-of-request:1"; strings.Join(lines, " ") != want {
			t.Errorf("sent %q", lines)
		}
	}
	m.given.Env = map[string]string{programVariable: "silent"}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Try(ctx, m.given, nil, nil, m.Mapper.log); err == nil {
		t.Error("no error after ctx ended")
	}
}
