package https

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"strings"
	"testing"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

func TestNames(t *testing.T) {
	n := newNames([]string{"Jackfield.Example", "192.0.2.9", "2001:db8::9"})
	for _, test := range []struct {
		authority, local string
		want             bool
	}{
		{"jackfield.example", "10.0.0.1", true},
		{"JACKFIELD.example:8443", "10.0.0.1", true},
		{"jackfield.example:0", "10.0.0.1", true},
		{"jackfield.example:", "10.0.0.1", false},
		{"jackfield.example:65536", "10.0.0.1", false},
		{"jackfield.example:-1", "10.0.0.1", false},
		{"jackfield.example:+1", "10.0.0.1", false},
		{"jackfield.example:1:2", "10.0.0.1", false},
		{"jackfield.example.evil.example", "10.0.0.1", false},
		{"evil.example", "10.0.0.1", false},
		{"user@jackfield.example", "10.0.0.1", false},
		{"jackfield.example@evil.example", "10.0.0.1", false},
		{"jackfield.example.", "10.0.0.1", false},
		{"[jackfield.example]", "10.0.0.1", false},
		{"10.0.0.1", "10.0.0.1", true},
		{"10.0.0.1:443", "::ffff:10.0.0.1", true},
		{"10.0.0.2", "10.0.0.1", false},
		{"010.0.0.1", "10.0.0.1", false},
		{"192.0.2.9", "10.0.0.1", true},
		{"[2001:db8::9]:443", "10.0.0.1", true},
		{"[2001:DB8:0::9]", "10.0.0.1", true},
		{"2001:db8::9", "10.0.0.1", false},
		{"[fe80::1]", "fe80::1%eth0", true},
		{"[::1]:80", "::1", true},
		{"[::1", "::1", false},
		{"[::1]80", "::1", false},
		{"[127.0.0.1]", "127.0.0.1", false},
		{"localhost", "127.0.0.1", true},
		{"LocalHost:80", "::1", true},
		{"localhost", "::ffff:127.0.0.1", true},
		{"localhost", "10.0.0.1", false},
		{"127.0.0.1", "10.0.0.1", false},
		{"", "10.0.0.1", false},
		{":80", "10.0.0.1", false},
	} {
		if got := n.has(test.authority, netip.MustParseAddr(test.local)); got != test.want {
			t.Errorf("%q for a client of %s: %v", test.authority, test.local, got)
		}
	}
}

func FuzzNames(f *testing.F) {
	for _, seed := range []string{"jackfield.example:1", "[::1]:2", "127.0.0.1", "localhost:", "a@b", "[", ":", "\x00"} {
		f.Add(seed)
	}
	n := newNames([]string{"jackfield.example"})
	local := netip.MustParseAddr("127.0.0.1")
	f.Fuzz(func(t *testing.T, authority string) {
		if !n.has(authority, local) {
			return
		}
		lower := strings.ToLower(authority)
		for _, prefix := range []string{"jackfield.example", "localhost", "127.0.0.1", "[::ffff:"} {
			if rest, ok := strings.CutPrefix(lower, prefix); ok && (rest == "" || rest[0] == ':' || prefix == "[::ffff:") {
				return
			}
		}
		if !strings.HasPrefix(authority, "[") { // other spellings of the mapped address
			t.Errorf("%q is taken for ours", authority)
		}
	})
}

// What is not for us never reaches the handler: so a page that had our address put into its own name gets nothing.
func TestMisdirected(t *testing.T) {
	h := start(t, true, func(o *Options) {
		o.HTTP = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != "/fine" {
				t.Errorf("a handler has seen %s %s", r.Host, r.URL)
			}
		})
	})
	for _, test := range []struct {
		target, host string
		want         int
	}{
		{"/fine", "localhost", 200},
		{"/fine", "LOCALHOST:1", 200},
		{"/fine", hostName + ":443", 200},
		{"/fine", h.address, 200},
		{"/", "evil.example", 421},
		{"/", "192.0.2.1", 421},
		{"*", "evil.example", 421},
		{"http://localhost/", "localhost", 421},
		{"https://" + hostName + "/", hostName, 421},
		{"http://evil.example/", "localhost", 421},
		{"http:evil", "localhost", 421},
		{"ftp://localhost/", "localhost", 421},
		{"file:///etc/passwd", "localhost", 421},
		{"localhost:80", "localhost", 421},
		{"?", "localhost", 400},
	} {
		t.Run(test.target+" of "+test.host, func(t *testing.T) {
			conn := h.dial()
			fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: %s\r\n\r\n", test.target, test.host)
			if status, _ := readAnswer(t, conn); status != test.want {
				t.Errorf("answered with %d, want %d", status, test.want)
			}
		})
	}
}

// The same for HTTP/2, whose forms only a client of frames can make. 0 stands for a stream that is reset.
func TestMisdirectedH2(t *testing.T) {
	h := start(t, false, func(o *Options) {
		o.HTTP = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != "/fine" {
				t.Errorf("a handler has seen %s %s", r.Host, r.URL)
			}
		})
	})
	for _, test := range []struct {
		name   string
		fields []string // name, value, ...
		want   string
	}{
		{"fine", []string{":authority", hostName, ":path", "/fine"}, "200"},
		{"Host alone", []string{":path", "/fine", "host", hostName}, "200"},
		{"Host the same", []string{":authority", hostName, ":path", "/fine", "host", hostName}, "200"},
		{"foreign", []string{":authority", "evil.example", ":path", "/"}, "421"},
		{"foreign Host", []string{":authority", hostName, ":path", "/", "host", "evil.example"}, "400"},
		{"two Hosts", []string{":path", "/", "host", hostName, "host", hostName}, "400"},
		{"no host", []string{":path", "/"}, "400"},
		{"absolute path", []string{":authority", hostName, ":path", "https://" + hostName + "/"}, "421"},
		{"path without slash", []string{":authority", hostName, ":path", "x"}, "reset"},
		{"connection field", []string{":authority", hostName, ":path", "/", "connection", "close"}, "400"},
		{"coding", []string{":authority", hostName, ":path", "/", "transfer-encoding", "chunked"}, "400"},
		{"upper case", []string{":authority", hostName, ":path", "/", "X-A", "b"}, "reset"},
		{"line end in a value", []string{":authority", hostName, ":path", "/", "x-a", "b\r\nc: d"}, "reset"},
		{"extended CONNECT", []string{":authority", hostName, ":path", "/", ":protocol", "websocket"}, "reset"},
	} {
		t.Run(test.name, func(t *testing.T) {
			conn := h.dialTLS(protocolH2)
			framer := beginH2(t, conn)
			fields := append([]string{":method", "GET", ":scheme", "https"}, test.fields...)
			if test.name == "extended CONNECT" {
				fields[1] = "CONNECT"
			}
			sendHeaders(t, framer, 1, fields)
			if got := outcome(t, framer); got != test.want {
				t.Errorf("got %s, want %s", got, test.want)
			}
		})
	}
}

func beginH2(t *testing.T, conn io.ReadWriter) *http2.Framer {
	t.Helper()
	io.WriteString(conn, http2.ClientPreface)
	framer := http2.NewFramer(conn, conn)
	framer.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	if err := framer.WriteSettings(); err != nil {
		t.Fatal(err)
	}
	return framer
}

func sendHeaders(t *testing.T, framer *http2.Framer, stream uint32, fields []string) {
	t.Helper()
	err := framer.WriteHeaders(http2.HeadersFrameParam{
		StreamID: stream, BlockFragment: encode(fields), EndStream: true, EndHeaders: true,
	})
	if err != nil {
		t.Fatal(err)
	}
}

// encode makes a header block of names and values.
func encode(fields []string) []byte {
	var block bytes.Buffer
	encoder := hpack.NewEncoder(&block)
	for i := 0; i < len(fields); i += 2 {
		encoder.WriteField(hpack.HeaderField{Name: fields[i], Value: fields[i+1]})
	}
	return block.Bytes()
}

// outcome is the status of the answer, or "reset", or "closed".
func outcome(t *testing.T, framer *http2.Framer) string {
	t.Helper()
	for {
		frame, err := framer.ReadFrame()
		if err != nil {
			return "closed"
		}
		switch frame := frame.(type) {
		case *http2.MetaHeadersFrame:
			return frame.PseudoValue("status")
		case *http2.RSTStreamFrame:
			return "reset"
		case *http2.GoAwayFrame:
			if frame.ErrCode != http2.ErrCodeNo {
				return "closed"
			}
		}
	}
}
