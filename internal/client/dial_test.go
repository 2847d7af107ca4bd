package client_test

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"testing"

	"jackfield"
	"jackfield/internal/api"
	"jackfield/internal/client"
)

func TestDial(t *testing.T) {
	f := newFake(t)
	f.tunnels["count:1"] = counted
	stream, err := f.dialled(t).Dial(t.Context(), "count")
	if err != nil {
		t.Fatal(err)
	}
	defer stream.Close()
	if _, err := stream.Write(make([]byte, 1<<20)); err != nil {
		t.Fatal(err)
	}
	if err := stream.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if text, err := io.ReadAll(stream); err != nil || string(text) != "1048576 bytes, <nil>" {
		t.Errorf("after half-close: %q, %v", text, err)
	}
	asked := f.head.Load()
	if asked.Header.Get("Proxy-Authorization") != "Bearer jft_secret" || asked.Host != "count:1" || asked.Header.Get("Authorization") != "" {
		t.Errorf("it was asked with %v for %s", asked.Header, asked.Host)
	}
	if n := f.connects.Load(); n != 1 {
		t.Errorf("%d requests", n)
	}
}

// What a server may answer to CONNECT.
func TestAnswers(t *testing.T) {
	f := newFake(t)
	long := strings.Repeat("x", 1<<20)
	for name, test := range map[string]struct {
		tunnel func(net.Conn)
		text   string // what the stream says
		read   error
		kind   jackfield.Kind
		says   string // the error of Dial
	}{
		"at once":          {tunnel: answer("HTTP/1.1 200 Connection established\r\n\r\nfirst"), text: "first"},
		"nothing":          {tunnel: answer("HTTP/1.1 200 OK\r\nDate: now\r\n\r\n")},
		"torn":             {tunnel: torn, text: "begun", read: io.ErrUnexpectedEOF},
		"a plain refusal":  {tunnel: answer("HTTP/1.1 403 No\r\nContent-Length: 3\r\n\r\nno\n"), kind: jackfield.Denied, says: "403 No"},
		"an odd status":    {tunnel: answer("HTTP/1.1 418 Teapot\r\nContent-Length: 0\r\n\r\n"), says: "answered CONNECT with 418 Teapot"},
		"control":          {tunnel: answer("HTTP/1.1 403 \x1b[2J\r\nContent-Length: 0\r\n\r\n"), kind: jackfield.Denied, says: "?[2J"},
		"no HTTP":          {tunnel: answer("SSH-2.0-OpenSSH\r\n\r\n"), says: "was no answer of HTTP"},
		"an endless head":  {tunnel: answer("HTTP/1.1 200 OK\r\nA: " + long + "\r\n\r\n"), says: "was no answer of HTTP"},
		"an endless body":  {tunnel: answer("HTTP/1.1 503 Busy\r\nContent-Length: 1048576\r\n\r\n" + long), kind: jackfield.Unavailable, says: "503"},
		"the end":          {tunnel: answer(""), says: "did not answer"},
		"half a head":      {tunnel: answer("HTTP/1.1 200 OK\r\n"), says: "did not answer"},
		"an interim reply": {tunnel: answer("HTTP/1.1 407 Auth\r\nContent-Length: 0\r\n\r\n"), kind: jackfield.Unauthenticated, says: "407"},
	} {
		t.Run(name, func(t *testing.T) {
			f.tunnels["test:1"] = test.tunnel
			stream, err := f.dialled(t).Dial(t.Context(), "test")
			if err != nil {
				var refusal *jackfield.Error
				errors.As(err, &refusal)
				if test.says == "" || !strings.Contains(err.Error(), test.says) || (refusal != nil) != (test.kind != "") ||
					refusal != nil && refusal.Kind != test.kind {
					t.Errorf("%v (%T)", err, err)
				}
				if refusal == nil && !strings.Contains(err.Error(), f.URL) {
					t.Errorf("%v does not name the server", err)
				}
				return
			}
			defer stream.Close()
			if text, err := io.ReadAll(stream); string(text) != test.text || !errors.Is(err, test.read) || test.says != "" {
				t.Errorf("read %q, %v", text, err)
			}
		})
	}
}

func TestRefusal(t *testing.T) {
	f := newFake(t)
	_, err := f.dialled(t).Dial(t.Context(), "nosuch")
	if refusal, is := errors.AsType[*jackfield.Error](err); !is || refusal.Kind != jackfield.NotFound || refusal.ID != "k3vq-1-2" ||
		refusal.Message != "service not available" {
		t.Errorf("%#v", err)
	}
}

// What is no name does not come into the head of a request.
func TestDialNoName(t *testing.T) {
	f := newFake(t)
	for _, name := range []jackfield.Name{"", "a b", "a\r\nX: y", "a.b.c", "$(id)"} {
		if _, err := f.dialled(t).Dial(t.Context(), name); jackfield.AsError(err).Kind != jackfield.Invalid {
			t.Errorf("%q: %v", name, err)
		}
	}
	if f.connects.Load() > 0 {
		t.Error("the server was asked")
	}
}

// A server that says nothing holds nobody up who has left.
func TestDialCancelled(t *testing.T) {
	f := newFake(t)
	asked := make(chan struct{})
	f.tunnels["silent:1"] = func(conn net.Conn) {
		close(asked)
		io.Copy(io.Discard, conn)
	}
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-asked
		cancel()
	}()
	if _, err := f.dialled(t).Dial(ctx, "silent"); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}

// What is called by one label may be a station's: the server picks, and says which. A name with two is asked for as it is.
func TestOpen(t *testing.T) {
	f := newFake(t)
	picked := func(name string) func(net.Conn) {
		return answer("HTTP/1.1 200 OK\r\nJackfield-Service: " + name + "\r\n\r\nfirst")
	}
	for name, test := range map[string]struct {
		called       jackfield.Name
		tunnel       func(net.Conn)
		opened, asks string
		says         string // the error
	}{
		"a station":              {"fpga-1", picked("ssh.fpga-1"), "ssh.fpga-1", "station", ""},
		"a service":              {"echo", answer("HTTP/1.1 200 OK\r\n\r\nfirst"), "echo", "station", ""},
		"a station's service":    {"echo.fpga-1", answer("HTTP/1.1 200 OK\r\n\r\nfirst"), "echo.fpga-1", "", ""},
		"nobody has asked":       {"echo.fpga-1", picked("ssh.fpga-1"), "echo.fpga-1", "", ""},
		"of another station":     {"fpga-1", picked("ssh.fpga-2"), "", "station", "another station"},
		"no name":                {"fpga-1", picked("a_b"), "", "station", "another station"},
		"a station that is none": {"nosuch", nil, "", "station", "service not available"},
	} {
		t.Run(name, func(t *testing.T) {
			f.tunnels[string(test.called)+":1"] = test.tunnel
			before := f.connects.Load()
			stream, opened, err := f.dialled(t).Open(t.Context(), test.called)
			if n := f.connects.Load() - before; n != 1 {
				t.Errorf("%d requests", n)
			}
			if asks := f.head.Load().Header.Get("Jackfield-Pick"); asks != test.asks {
				t.Errorf("it was asked to pick %q", asks)
			}
			if err != nil {
				if test.says == "" || !strings.Contains(err.Error(), test.says) || strings.Contains(err.Error(), "\x1b") {
					t.Error(err)
				}
				return
			}
			defer stream.Close()
			if text, err := io.ReadAll(stream); string(opened) != test.opened || string(text) != "first" || err != nil || test.says != "" {
				t.Errorf("%s: %q, %v", opened, text, err)
			}
		})
	}
}

func TestResolve(t *testing.T) {
	f := newFake(t)
	for _, name := range []string{"fpga-1", "console.fpga-1", "console.fpga-2", "ssh.fpga-2", "web.fpga-2", "web.fpga-3", "ssh.fpga-4", "web.fpga-4"} {
		n := jackfield.Name(name)
		f.services = append(f.services, api.Service{Name: n, Station: n.Station()})
	}
	server := f.dialled(t)
	for called, want := range map[jackfield.Name]string{
		"console.fpga-2": "console.fpga-2", // a service's own name
		"fpga-1":         "fpga-1",         // counts more than a station's
		"fpga-4":         "ssh.fpga-4",
		"fpga-2":         "say console.fpga-2 or ssh.fpga-2",
		"fpga-3":         `there is no service "fpga-3"`,
		"nosuch":         `there is no service "nosuch"`,
	} {
		name, err := server.Resolve(t.Context(), called)
		if err != nil && !strings.Contains(err.Error(), want) || err == nil && string(name) != want {
			t.Errorf("%s: %q, %v", called, name, err)
		}
	}
}

func TestParseURL(t *testing.T) {
	for text, want := range map[string]string{
		"https://Jackfield.example.org/":     "https://jackfield.example.org",
		"jackfield.example.org":              "https://jackfield.example.org",
		"jackfield.example.org:443":          "https://jackfield.example.org",
		"https://jackfield.example.org:8443": "https://jackfield.example.org:8443",
		"[2001:db8::443]":                    "https://[2001:db8::443]",
		"https://[2001:db8::1]:443":          "https://[2001:db8::1]",
		"http://127.0.0.1:80":                "http://127.0.0.1",
		"http://[::1]:8080":                  "http://[::1]:8080",
	} {
		if got, err := client.ParseURL(text); got != want || err != nil {
			t.Errorf("%s: %q, %v", text, got, err)
		}
	}
	for text, want := range map[string]string{
		"":                         "is not the address",
		"ftp://a":                  "is not the address",
		"https://":                 "is not the address",
		"https://a/path":           "is not the address",
		"https://a?x":              "is not the address",
		"https://a#x":              "is not the address",
		"https://a b":              "is not the address",
		"http://example.org":       "unencrypted: say https://example.org",
		"http://192.0.2.1:8080":    "unencrypted",
		"https://ada:secret@a.org": "no user and no password",
	} {
		if got, err := client.ParseURL(text); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %q, %v", text, got, err)
		}
	}
}
