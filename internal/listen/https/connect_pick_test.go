package https

import (
	"net/http"
	"testing"

	"jackfield"
	"jackfield/internal/gateway"
)

// Who names a station gets its service ssh or console, if there is one of them for them, by one request, and without having been
// refused before.
func TestPick(t *testing.T) {
	l := startLab(t, true, func(l *lab, _ *Options) {
		hidden := []gateway.Level{{ACL: never{}}}
		for name, levels := range map[jackfield.Name][]gateway.Level{
			"console.one": nil, "web.one": nil,
			"ssh.hides": nil, "console.hides": hidden,
			"ssh.two": nil, "console.two": nil,
			"web.other":     nil,
			"console.wired": nil, // there is a service of the station's name
		} {
			l.listener.Services[name] = &gateway.Service{Name: name, Route: wired{l.serve}, Levels: levels}
		}
	})
	for _, test := range []struct {
		called, field string
		status        int
		opened, said  string
	}{
		{"one", "station", 200, "console.one", "console.one"},
		{"ONE", "station", 200, "console.one", "console.one"},
		{"hides", "station", 200, "ssh.hides", "ssh.hides"},
		{"wired", "station", 200, "wired", ""},
		{"console.one", "station", 200, "console.one", ""},
		{"two", "station", 404, "", ""},
		{"other", "station", 404, "", ""},
		{"nosuch", "station", 404, "", ""},
		{"one", "service", 404, "", ""}, // who does not ask for it gets what is named
	} {
		refused := l.records.refusals()
		client := l.ask(l.dialStream(), "CONNECT "+test.called+":1 HTTP/1.1\r\nHost: x\r\nProxy-Authorization: "+bearer(token)+
			"\r\n"+pickField+": "+test.field+"\r\n\r\n")
		if client.answer.StatusCode != test.status || client.answer.Header.Get(serviceField) != test.said {
			t.Errorf("%s: answered with %s %v", test.called, client.answer.Status, client.answer.Header)
		}
		if test.status == http.StatusOK {
			client.CloseWrite()
			l.service().Close()
			if record := l.closes(); string(record.Service) != test.opened {
				t.Errorf("%s: the session was with %s", test.called, record.Service)
			}
			if n := l.records.refusals() - refused; n != 0 {
				t.Errorf("%s: %d refusals", test.called, n)
			}
		}
		client.Close()
	}
}

func (r *records) refusals() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.refused)
}

func TestPickH2(t *testing.T) {
	l := startLab(t, false, nil)
	client := l.client(true)
	client.Timeout = 0
	client.Transport = picking{client.Transport}
	l.listener.Services["ssh.fpga-1"] = &gateway.Service{Name: "ssh.fpga-1", Route: wired{l.serve}}
	joined := l.connectBy(client, "fpga-1:1", bearer(token))
	if got := joined.answer.Header.Get(serviceField); joined.answer.StatusCode != http.StatusOK || got != "ssh.fpga-1" {
		t.Errorf("answered with %s, %q", joined.answer.Status, got)
	}
	pass(t, joined, l.service(), "question")
}

type picking struct{ http.RoundTripper }

func (p picking) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set(pickField, "station")
	return p.RoundTripper.RoundTrip(r)
}
