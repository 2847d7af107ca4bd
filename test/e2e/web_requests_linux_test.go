package e2e

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/net/http2"
)

// smuggled is a request that must never reach the API.
const smuggled = "GET /smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n"

// Forms of request smuggling (RFC 9112, section 11.2): two readers may see the end of the request in different places.
func smuggling(t *testing.T, s *site) {
	const head = "POST /api/v1/login HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
	for name, sent := range map[string]string{
		"length and chunks":  head + "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + smuggled,
		"chunks and length":  head + "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n" + smuggled,
		"two lengths":        head + "Content-Length: 0\r\nContent-Length: 44\r\n\r\n" + smuggled,
		"same length twice":  head + "Content-Length: 2\r\nContent-Length: 2\r\n\r\n{}" + smuggled,
		"signed length":      head + "Content-Length: +2\r\n\r\n{}" + smuggled,
		"two codings":        head + "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n" + smuggled,
		"odd coding":         head + "Transfer-Encoding: \vchunked\r\n\r\n0\r\n\r\n" + smuggled,
		"old chunks":         "POST / HTTP/1.0\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + smuggled,
		"folded field":       head + "X-A: b\r\n\tc\r\n\r\n" + smuggled,
		"folded coding":      head + "Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n" + smuggled,
		"bare line feeds":    "GET /api/v1/health HTTP/1.1\nHost: localhost\n\n" + smuggled,
		"one bare line feed": head + "X-A: b\nContent-Length: 44\r\n\r\n" + smuggled,
		"bare CR":            head + "X-A: b\rContent-Length: 44\r\n\r\n" + smuggled,
		"NUL in a value":     head + "X-A: b\x00c\r\n\r\n" + smuggled,
		"space before colon": head + "Content-Length : 44\r\n\r\n" + smuggled,
		"two hosts":          "GET /api/v1/health HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n\r\n" + smuggled,
		"HTTP/0.9":           "GET /api/v1/health\r\n\r\n" + smuggled,
	} {
		conn := s.dialTLS(t, "http/1.1")
		io.WriteString(conn, sent)
		if got := statuses(t, conn); got != "400" {
			t.Errorf("%s: answered with %s", name, got)
		}
	}
}

// smuggledBehindChunks: what comes after chunks, of which the end may be read in two ways, is never read as a request.
func smuggledBehindChunks(t *testing.T, s *site) {
	const head = "POST /api/v1/login HTTP/1.1\r\nHost: localhost\r\n" +
		"Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
	for name, body := range map[string]string{
		"in order":                   "2\r\n{}\r\n0\r\n\r\n",
		"extension":                  "2;a=b\r\n{}\r\n0\r\n\r\n",
		"extension with a line feed": "2;a\n{}\r\n0\r\n\r\n",
		"signed size":                "+2\r\n{}\r\n0\r\n\r\n",
		"hexadecimal prefix":         "0x2\r\n{}\r\n0\r\n\r\n",
		"size that wraps":            "10000000000000002\r\n{}\r\n0\r\n\r\n",
		"line feeds":                 "2\n{}\n0\n\n",
		"trailer":                    "2\r\n{}\r\n0\r\nContent-Length: 44\r\n\r\n",
		"without end":                "2\r\n{}\r\n0\r\n",
	} {
		conn := s.dialTLS(t, "http/1.1")
		io.WriteString(conn, head+body+smuggled)
		if got := statuses(t, conn); got != "400" {
			t.Errorf("%s: answered with %s", name, got)
		}
	}
}

// statuses are those of all answers until the connection ends.
func statuses(t *testing.T, conn io.Reader) string {
	t.Helper()
	text, err := io.ReadAll(conn)
	if err != nil && !errors.Is(err, syscall.ECONNRESET) {
		t.Fatalf("after %q: %v", text, err)
	}
	var list []string
	for line := range strings.Lines(string(text)) {
		if status, is := strings.CutPrefix(line, "HTTP/1.1 "); is {
			list = append(list, status[:3])
		}
	}
	return strings.Join(list, " ")
}

func foreignHosts(t *testing.T, s *site) {
	for _, sent := range []string{
		"GET /api/v1/health HTTP/1.1\r\nHost: evil.example\r\n\r\n",
		"GET /api/v1/health HTTP/1.1\r\nHost: localhost.evil.example\r\n\r\n",
		"GET /api/v1/health HTTP/1.1\r\nHost: 127.0.0.1.evil.example:443\r\n\r\n",
		"GET http://localhost/api/v1/health HTTP/1.1\r\nHost: localhost\r\n\r\n",
		"GET https://" + s.Addresses["web"] + "/api/v1/health HTTP/1.1\r\nHost: " + s.Addresses["web"] + "\r\n\r\n",
		"GET http://169.254.169.254/latest/meta-data HTTP/1.1\r\nHost: localhost\r\n\r\n",
	} {
		conn := s.dialTLS(t, "http/1.1")
		io.WriteString(conn, sent)
		if got := readAnswer(t, conn); got.status != http.StatusMisdirectedRequest || got.problem.ID == "" {
			t.Errorf("%q is answered with %d %+v", sent, got.status, got.problem)
		}
	}
	conn := beginH2(t, s)
	fields := block(":method", "GET", ":scheme", "https", ":authority", "evil.example", ":path", "/api/v1/health")
	conn.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: fields, EndStream: true, EndHeaders: true})
	if got := conn.status(); got != "421" {
		t.Errorf("HTTP/2: answered with %s", got)
	}
}

func connectMethod(t *testing.T, s *site) {
	for _, target := range []string{"127.0.0.1:22", "echo:1"} {
		conn := s.dialTLS(t, "http/1.1")
		io.WriteString(conn, "CONNECT "+target+" HTTP/1.1\r\nHost: "+target+"\r\n\r\n")
		if got := readAnswer(t, conn); got.status != http.StatusProxyAuthRequired || got.header.Get("Proxy-Authenticate") == "" {
			t.Errorf("%s: answered with %d %v", target, got.status, got.header)
		}
	}
}

func foreignOrigin(t *testing.T, s *site) {
	c := s.client(t, hostile)
	for _, fields := range [][]string{
		{"Origin", "https://evil.example"},
		{"Origin", "null"},
		{"Sec-Fetch-Site", "cross-site"},
		{"Sec-Fetch-Site", "same-site"},
	} {
		got := callAPI(t, c, http.MethodPost, s.url("web", "/login"), `{"user":"bystander","password":"x"}`, fields...)
		if got.status != http.StatusForbidden || got.problem.ID == "" {
			t.Errorf("%v: answered with %d %+v", fields, got.status, got.problem)
		}
	}
}

func badBodies(t *testing.T, s *site) {
	c, url := s.client(t, hostile), s.url("web", "/login")
	large := `{"user":"` + strings.Repeat("a", 2<<20) + `"}`
	for name, test := range map[string]struct {
		body, contentType string
		status            int
		says              string
	}{
		"2 MiB":              {large, "application/json", 413, "1048576 bytes"},
		"form":               {"user=a&password=b", "application/x-www-form-urlencoded", 415, "application/json"},
		"text":               {`{"user":"a","password":"b"}`, "text/plain", 415, "application/json"},
		"no type":            {`{"user":"a","password":"b"}`, "", 415, "application/json"},
		"unknown field":      {`{"user":"a","password":"b","pasword":"c"}`, "application/json", 400, "pasword"},
		"deep nesting":       {`{"user":` + strings.Repeat("[", 1<<19), "application/json", 400, ""},
		"deep objects":       {strings.Repeat(`{"user":`, 1<<16), "application/json", 400, ""},
		"cut off":            {`{"user":"a`, "application/json", 400, "ends"},
		"two values":         {`{"user":"a","password":"b"}{}`, "application/json", 400, "goes on"},
		"wrong type":         {`{"user":17}`, "application/json", 400, "user"},
		"list":               {`[]`, "application/json", 400, "object"},
		"no text":            {"\xff\xfe\x00", "application/json", 400, "JSON"},
		"nothing":            {" ", "application/json", 400, "ends"},
		"neither nor":        {`{}`, "application/json", 400, "password"},
		"password and token": {`{"user":"a","password":"b","token":"c"}`, "application/json", 400, "either"},
	} {
		t.Run(name, func(t *testing.T) {
			got := callAPI(t, c, http.MethodPost, url, test.body, "Content-Type", test.contentType)
			if got.status != test.status || !strings.Contains(got.problem.Detail, test.says) {
				t.Errorf("answered with %d %+v", got.status, got.problem)
			}
			s.told(t, got.problem)
		})
	}
	t.Run("2 MiB in chunks", func(t *testing.T) {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, io.MultiReader(strings.NewReader(large)))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/json")
		answer, err := c.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		if got := readReply(t, answer); got.status != http.StatusRequestEntityTooLarge {
			t.Errorf("answered with %d %+v", got.status, got.problem)
		} else {
			s.told(t, got.problem)
		}
	})
}
