package https

import (
	"crypto/sha256"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httputil"
	"strings"
	"testing"

	"jackfield"
)

func TestWebProxy(t *testing.T) {
	site := func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		for name := range r.Header {
			if strings.HasPrefix(name, "Proxy-") || strings.HasPrefix(name, "X-Forwarded") || name == "X-Hop" || name == "Keep-Alive" {
				t.Errorf("the service gets %s", name)
			}
		}
		if !r.Close {
			t.Error("the service is not told that there is no other request")
		}
		w.Header()["Content-Type"] = nil
		w.Header().Set("X-Via", r.Header.Get("Via"))
		w.Header().Set("Keep-Alive", "timeout=5")
		w.WriteHeader(http.StatusTeapot)
		fmt.Fprintf(w, "%s %s %s %s %s", r.Method, r.Host, r.RequestURI, r.Header.Get("Authorization"), body)
	}
	eachWebDialect(t, site, func(t *testing.T, l *webLab) {
		r := l.request("POST", "http://Site:8080/a//../b%2f?q=1;2&x=%zz", strings.NewReader("body"))
		r.Header.Set("Authorization", "for-the-site")
		r.Header.Set("X-Forwarded-For", "192.0.2.1")
		if !l.h2 {
			r.Header.Set("Proxy-Connection", "keep-alive")
			r.Header.Set("Keep-Alive", "timeout=5")
			r.Header.Set("Connection", "X-Hop")
			r.Header.Set("X-Hop", "x")
		}
		answer := l.do(r)
		text, err := io.ReadAll(answer.Body)
		if want := "POST Site:8080 /a//../b%2f?q=1;2&x=%zz for-the-site body"; string(text) != want || err != nil {
			t.Errorf("got %q, %v; want %q", text, err, want)
		}
		if answer.StatusCode != http.StatusTeapot || answer.Header.Get("Via") != "1.1 jackfield" ||
			answer.Header.Get("X-Via") != fmt.Sprintf("%d.%d jackfield", answer.ProtoMajor, answer.ProtoMinor) {
			t.Errorf("got %s %v", answer.Status, answer.Header)
		}
		for _, name := range []string{"Content-Security-Policy", "Cache-Control", "Content-Type", "Keep-Alive"} {
			if answer.Header[name] != nil {
				t.Errorf("the answer has %s, which the service did not send", name)
			}
		}
		record := l.closes()
		if record.End.Cause != jackfield.EndFinished || record.Service != "site" || record.Identity.User != "ann" ||
			record.Transfer.FromClient == 0 || record.Transfer.FromService == 0 {
			t.Errorf("the record is %+v", record)
		}
		if n := l.sessions.Len(); n != 0 {
			t.Errorf("%d sessions are open", n)
		}
	})
}

// Each request is a session, though the client's connection is one.
func TestWebSessions(t *testing.T) {
	eachWebDialect(t, hello, func(t *testing.T, l *webLab) {
		do := l.onOne(l.client, l.h2, (*http.Request).WriteProxy)
		for range 10 {
			answer, err := do(l.request("GET", "http://site/x", nil))
			if err != nil {
				t.Fatal(err)
			}
			if text, _ := io.ReadAll(answer.Body); string(text) != "HTTP/1.1 site /x" {
				t.Errorf("got %q", text)
			}
			answer.Body.Close()
			l.ends(jackfield.EndFinished)
		}
		if n := l.connections(); n != 1 {
			t.Errorf("%d connections are open", n)
		}
	})
}

func TestWebRefusals(t *testing.T) {
	eachWebDialect(t, hello, func(t *testing.T, l *webLab) {
		for name, want := range map[string]struct {
			kind   jackfield.Kind
			status int
		}{
			"missing":                  {jackfield.NotFound, 404},
			"hidden":                   {jackfield.NotFound, 404},
			"held":                     {jackfield.Busy, 409},
			"full":                     {jackfield.Limited, 429},
			"dead":                     {jackfield.Unavailable, 503},
			"faulty":                   {jackfield.Internal, 500},
			"wired":                    {jackfield.Invalid, 421},
			"a.b.c":                    {jackfield.Invalid, 400},
			"..":                       {jackfield.Invalid, 400},
			"help":                     {jackfield.Invalid, 400},
			"[2001:db8::1]":            {jackfield.Invalid, 400},
			"[2001:db8::1]:80":         {jackfield.Invalid, 400},
			"192.0.2.1":                {jackfield.Invalid, 400},
			"site:65536":               {jackfield.Invalid, 400},
			strings.Repeat("a", 20000): {jackfield.Invalid, 400},
		} {
			r := l.request("GET", "http://"+name+"/", nil)
			answer := l.do(r)
			expectProblem(t, name, answer, want.kind, want.status)
			if answer.Header.Get("Content-Security-Policy") == "" {
				t.Errorf("%.20s: the answer is ours, and has no policy", name)
			}
			r.Header.Del("Proxy-Authorization") // who is nobody learns nothing
			expectProblem(t, name, l.do(r), jackfield.Unauthenticated, 407)
			r.Header.Set("Proxy-Authorization", bearer(readOnly))
			expectProblem(t, name, l.do(r), jackfield.Denied, 403)
		}
		if n := l.sessions.Len(); n != 0 {
			t.Errorf("%d sessions are open", n)
		}
	})
}

// What stands in a request line. Whatever it is, nothing of ours answers it.
func TestWebTargets(t *testing.T) {
	l := startWeb(t, true, false, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, r.Method+" "+r.RequestURI) })
	for _, test := range []struct {
		line, says string
		status     int
	}{
		{"GET http://site/", "GET /", 200},
		{"GET HTTP://SITE", "GET /", 200},
		{"GET http://site?x", "GET /?x", 200},
		{"GET http://site:1/../etc", "GET /../etc", 200},
		{"OPTIONS http://site", "OPTIONS *", 200},
		{"OPTIONS http://site/", "OPTIONS /", 200},
		{"GET https://site/", "use CONNECT", 400},
		{"GET https://" + hostName + "/", "use CONNECT", 400},
		{"GET ws://site/", "http://NAME", 400},
		{"GET ftp://site/", "http://NAME", 400},
		{"GET file:///etc/passwd", "http://NAME", 400},
		{"GET site:80", "http://NAME", 400},
		{"GET http:site", "host of the target", 400},
		{"GET http:///", "host of the target", 400},
		{"GET http://:80/", "host of the target", 400},
		{"GET http://ann@site/", "no user", 400},
		{"GET http://ann:secret@site/", "no user", 400},
		{"GET http://@site/", "no user", 400},
		{"GET http://" + hostName + "/fine", "not available", 404},
		{"GET http://127.0.0.1/fine", "host of the target", 400},
		{"GET http://site:/", "host of the target", 400},
		{"GET http://localhost/fine", "not available", 404},
		{"GET http://site%2f/", "", 400},
		{"GET http://[::1/", "", 400},
		{"GET http://site:x/", "", 400},
		{"GET http://si\x00te/", "", 400},
		{"GET http://site/ x", "", 400},
		{"GET http://" + strings.Repeat("a", 64<<10) + "/", "", 400},
		{"GET http://site/" + strings.Repeat("a", 80<<10), "", 431},
	} {
		stream := l.send(strings.Replace(webAsking("GET", "TARGET", ""), "GET TARGET", test.line, 1))
		answer, text, _ := answerTo(t, stream)
		if answer.StatusCode != test.status || !strings.Contains(text, test.says) {
			t.Errorf("%.60q is answered with %s %q", test.line, answer.Status, text)
		}
		stream.Close()
	}
}

// The bytes are those that were sent, both ways at once.
func TestWebBulk(t *testing.T) {
	site := func(w http.ResponseWriter, r *http.Request) {
		http.NewResponseController(w).EnableFullDuplex()
		w.WriteHeader(200)
		http.NewResponseController(w).Flush()
		io.Copy(w, r.Body)
	}
	eachWebDialect(t, site, func(t *testing.T, l *webLab) {
		sent := make([]byte, 1<<20)
		rand.NewChaCha8([32]byte{}).Read(sent)
		for _, length := range []int64{-1, int64(len(sent))} {
			r := l.request("PUT", "http://site/", io.NopCloser(strings.NewReader(string(sent))))
			r.ContentLength = length
			answer := l.do(r)
			got, err := io.ReadAll(answer.Body)
			if err != nil || sha256.Sum256(got) != sha256.Sum256(sent) {
				t.Errorf("%d of %d bytes, or others, have come back: %v", len(got), len(sent), err)
			}
			l.ends(jackfield.EndFinished)
		}
	})
}

// What the service writes arrives when it does, whatever the kind of answer, and so does what the client sends.
func TestWebStreams(t *testing.T) {
	eachWebDialect(t, hello, func(t *testing.T, l *webLab) {
		for name, head := range map[string]string{
			"events":     "Content-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n",
			"chunks":     "Transfer-Encoding: chunked\r\n",
			"length":     "Content-Length: 9\r\n",
			"to the end": "",
		} {
			t.Run(name, func(t *testing.T) {
				body, up := io.Pipe()
				begun := l.begin(l.request("POST", "http://raw/", body))
				service, upload, _ := l.served()
				said := httputil.NewChunkedReader(upload)
				io.WriteString(service, "HTTP/1.1 200 OK\r\n"+head+"\r\n")
				var saying io.Writer = service
				if strings.Contains(head, "chunked") {
					saying = httputil.NewChunkedWriter(service)
				}
				answer := <-begun
				for _, piece := range []string{"one", "two"} {
					pass(t, up, said, piece)
					pass(t, saying, answer.Body, piece)
				}
				up.Close()
				expectEnd(t, said)
				pass(t, saying, answer.Body, "end")
				if saying, ok := saying.(io.Closer); ok && saying != service {
					saying.Close()
					io.WriteString(service, "\r\n")
				}
				service.Close()
				expectEnd(t, answer.Body)
				l.ends(jackfield.EndFinished)
			})
		}
	})
}

func TestWebTrailers(t *testing.T) {
	site := func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		w.Header().Set("Trailer", "X-Sum")
		io.WriteString(w, "body")
		w.Header().Set("X-Sum", "got "+r.Trailer.Get("X-Sum"))
		w.Header().Set(http.TrailerPrefix+"X-Late", "late")
	}
	eachWebDialect(t, site, func(t *testing.T, l *webLab) {
		body, up := io.Pipe()
		r := l.request("POST", "http://site/", body)
		r.Trailer = http.Header{"X-Sum": nil}
		go func() {
			io.WriteString(up, "question")
			r.Trailer.Set("X-Sum", "42")
			up.Close()
		}()
		answer := l.do(r)
		io.Copy(io.Discard, answer.Body)
		if answer.Trailer.Get("X-Sum") != "got 42" || answer.Trailer.Get("X-Late") != "late" {
			t.Errorf("the trailers are %v", answer.Trailer)
		}
	})
}
