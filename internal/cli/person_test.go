package cli

import (
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"jackfield"
	"jackfield/internal/api"
)

func TestParseForwarded(t *testing.T) {
	for _, test := range []struct {
		given string
		want  string // or what the error says
	}{
		{"web", "web 127.0.0.1:0"},
		{"web 8080", "web 127.0.0.1:8080"},
		{"Web.board-1 :8080 ssh.board-1", "web.board-1 127.0.0.1:8080, ssh.board-1 127.0.0.1:0"},
		{"web ssh 2222", "web 127.0.0.1:0, ssh 127.0.0.1:2222"},
		{"web [::1]:80 ssh localhost:22", "web [::1]:80, ssh localhost:22"},
		{"8080 9090", "8080 127.0.0.1:9090"}, // a name is first
		{"web 65536", `"65536" is not a port`},
		{"web 99999999999999999999", `"99999999999999999999" is not a port`},
		{"web 1:2:3", "neither a port nor a host and a port"},
		{"web host:http", `"http" is not a port`},
		{"web 80 127.0.0.1:81", "service name"},
		{"a_b", "service name"},
	} {
		list, err := parseForwarded(strings.Fields(test.given))
		var got []string
		for _, f := range list {
			got = append(got, string(f.Service)+" "+f.Address)
		}
		if text := strings.Join(got, ", "); err == nil && text != test.want || err != nil && !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %q, %v", test.given, text, err)
		}
	}
}

func TestPrintForwarded(t *testing.T) {
	list := []forwarded{{"a.b", "127.0.0.1:1"}, {"a-b", "[::1]:2"}}
	var out strings.Builder
	if err := printForwarded(&out, list, true, false); err == nil || out.Len() > 0 || !strings.Contains(err.Error(), "a.b and a-b would have the same variable, JACKFIELD_A_B") {
		t.Errorf("%q, %v", &out, err)
	}
	if err := printForwarded(&out, list[1:], true, false); err != nil || out.String() != "JACKFIELD_A_B=[::1]:2\nJACKFIELD_A_B_PORT=2\n" {
		t.Errorf("%q, %v", &out, err)
	}
	out.Reset()
	if err := printForwarded(&out, list, false, true); err != nil || out.String() != `{"service":"a.b","address":"127.0.0.1:1"}`+"\n"+`{"service":"a-b","address":"[::1]:2"}`+"\n" {
		t.Errorf("%q, %v", &out, err)
	}
}

func TestComplainer(t *testing.T) {
	var out strings.Builder
	c := &complainer{w: &out, about: "web", server: "https://a"}
	away := errors.New("the server at https://a did not answer")
	denied := func(id string) error { return &jackfield.Error{Kind: jackfield.Denied, Message: "no", ID: id} }
	for _, err := range []error{nil, away, away, denied("1"), denied("2"), nil, nil, away} {
		c.failed(err)
	}
	const want = `jackfield: web: the server at https://a did not answer
jackfield: web: https://a: no [1]
jackfield: web can be reached again
jackfield: web: the server at https://a did not answer
`
	if out.String() != want {
		t.Errorf("it says\n%s", &out)
	}
}

func TestWays(t *testing.T) {
	got := strings.Join(ways([]api.Reach{
		{Protocol: "tcpmux", Address: "0.0.0.0", Port: 1},
		{Protocol: "https", Address: "", Port: 443},
		{Protocol: "tcp", Address: "::", Port: 80},
		{Protocol: "http", Address: "127.0.0.1", Port: 8080},
		{Protocol: "tcp", Address: "192.0.2.1", Port: 81},
	}, "a.example"), ", ")
	if got != "connect, tcpmux a.example:1, tcp a.example:80, tcp 192.0.2.1:81" {
		t.Error(got)
	}
}

func TestDescribeRecord(t *testing.T) {
	for record, want := range map[string]string{
		`{"event":"open","id":"k-1","service":"web","user":"ada","source":"192.0.2.1:9","listener":"mux"}`:   "k-1          open     web for ada from 192.0.2.1:9 by listener mux",
		`{"event":"close","service":"web","duration_seconds":1.5,"end":"finished","bytes_from_client":2048}`: "-            close    web for - from - after 1.5s: finished, 2.0 KiB from the client, 0 B from the service",
		`{"event":"refuse","service":"\u001b[2J","kind":"denied","details":"rule"}`:                          `refuse   "\x1b[2J" for - from - by listener : rule`,
		`{"event":"call","method":"GET","path":"/x","status":200,"target":"\u001b"}`:                         "call     GET /x by - from -: 200 ?",
		`{"event":"call","method":"POST","path":"/x","status":401,"proof":"none","target":"user ada"}`:       "POST /x by - (claimed: ada) from -: 401 user ada",
		`{"event":"call","method":"POST","path":"/x","status":401,"target":"user ada"}`:                      "POST /x by - (claimed: ada) from -", // as it is shown to ada
		`{"event":"call","method":"PUT","path":"/x","status":204,"proof":"peer","target":"user ada"}`:        "PUT /x by - from -: 204 user ada",
		`{"event":"call","method":"PUT","path":"/x","status":204,"user":"root","target":"user ada"}`:         "PUT /x by root from -: 204 user ada",
		`{"event":"lost","records":7}`: "lost     7 records",
	} {
		got, err := describeRecord(api.AuditRecord(record))
		if err != nil || !strings.Contains(got, want) {
			t.Errorf("%s: %q, %v", record, got, err)
		}
	}
	for _, bad := range []string{"", "[]", `{"time":7}`} {
		if got, err := describeRecord(api.AuditRecord(bad)); err == nil {
			t.Errorf("%s: %q", bad, got)
		}
	}
}

func TestKeyReader(t *testing.T) {
	for typed, want := range map[string]string{"abc": "abc", "ab\x1dcd": "ab", "\x1d": "", "\x03\x04": "\x03\x04"} {
		left := false
		got, err := io.ReadAll(&keyReader{keys: strings.NewReader(typed), leave: func() { left = true }})
		if string(got) != want || err != nil || left != strings.Contains(typed, "\x1d") {
			t.Errorf("%q: %q, %v, left %v", typed, got, err, left)
		}
	}
}

// What counts as an answer to whether a server is to be trusted.
func TestReadTrust(t *testing.T) {
	fingerprint, other := strings.Repeat("0a", 32), strings.Repeat("0b", 32)
	const again = "Please type yes, no or the fingerprint: "
	for typed, want := range map[string]struct {
		trusted bool
		says    string
	}{
		"yes":       {true, ""},
		"YES":       {true, ""},
		fingerprint: {true, ""},
		strings.TrimSuffix(strings.Repeat("0A:", 32), ":"): {true, ""},
		"no":                         {false, ""},
		"No":                         {false, ""},
		"y|yes":                      {true, again},
		"y||n|maybe|no":              {false, strings.Repeat(again, 4)},
		"y|" + fingerprint:           {true, again},
		other + "|yes":               {true, "That is another fingerprint. " + again},
		other:                        {false, "That is another fingerprint. " + again + "\n"},
		fingerprint[:63] + "|y":      {false, again + again + "\n"},
		"yes please":                 {false, again + "\n"},
		fingerprint + other + "|yes": {true, again},
	} {
		lines := strings.Split(typed, "|")
		var out strings.Builder
		trusted, err := readTrust(&out, fingerprint, func() (string, error) {
			if len(lines) == 0 {
				return "", io.EOF
			}
			line := lines[0]
			lines = lines[1:]
			return line, nil
		})
		if trusted != want.trusted || err != nil || out.String() != want.says {
			t.Errorf("%s: %v, %v, %q", typed, trusted, err, &out)
		}
	}
	gone := errors.New("gone")
	if trusted, err := readTrust(io.Discard, fingerprint, func() (string, error) { return "", gone }); trusted || !errors.Is(err, gone) {
		t.Errorf("a terminal that cannot be read: %v, %v", trusted, err)
	}
}

func TestQuoteShell(t *testing.T) {
	for word, want := range map[string]string{"/usr/bin/jackfield": "/usr/bin/jackfield", "/a b/it's": `'/a b/it'\''s'`, "$(x)": "'$(x)'", "": ""} {
		if got := quoteShell(word); got != want {
			t.Errorf("%q: %s", word, got)
		}
	}
}

func TestRemaining(t *testing.T) {
	for d, want := range map[time.Duration]string{-time.Second: "expired", 720 * time.Hour: "30 days", 90 * time.Minute: "1h30m0s"} {
		if got := remaining(d); got != want {
			t.Errorf("%v: %s", d, got)
		}
	}
}

func TestNamed(t *testing.T) {
	plain := errors.New("as it is")
	for _, test := range []struct {
		err  error
		want string
	}{
		{plain, "as it is"},
		{&jackfield.Error{Kind: jackfield.Busy, Message: "taken\x1b", ID: "k-1"}, "https://a: taken? [k-1]"},
		{&jackfield.Error{Kind: jackfield.Unauthenticated, Message: "log in again"}, "https://a: log in again (jackfield login https://a)"},
		{errors.Join(plain, &jackfield.Error{Kind: jackfield.NotFound, Message: "none"}), "https://a: as it is; none"},
	} {
		if got := named("https://a", test.err).Error(); got != test.want {
			t.Errorf("%q, not %q", got, test.want)
		}
	}
	if named("https://a", nil) != nil {
		t.Error("nothing is an error")
	}
}

func TestMeter(t *testing.T) {
	var out strings.Builder
	m := startMeter(&out)
	io.Copy(m.writer(io.Discard), m.reader(strings.NewReader(strings.Repeat("x", 2048))))
	m.stop()
	if !strings.Contains(out.String(), "\r2.0 KiB sent, 2.0 KiB received, ") || !strings.HasSuffix(out.String(), "/s\x1b[K\n") {
		t.Errorf("it shows %q", &out)
	}
}
