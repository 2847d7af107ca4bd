package https

import (
	"bufio"
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"jackfield"
)

// The answers that can be cut: all of them go on.
var unfinished = map[string]string{
	"chunks":     "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
	"length":     "HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\nhello",
	"to the end": "HTTP/1.1 200 OK\r\n\r\nhello",
}

// cuts are how a session ends before its time, and what the audit then says.
var cuts = map[string]func(l *webLab) (cause string){
	"revoked token": func(l *webLab) string { l.callers.end(token, "token revoked"); return "token revoked" },
	"disconnect": func(l *webLab) string {
		l.sessions.Disconnect(l.sessions.List()[0].ID, "disconnected by admin")
		return "disconnected by admin"
	},
}

// An answer whose session is cut does not look complete, and the client sees that at once.
func TestWebCut(t *testing.T) {
	eachWebDialect(t, hello, func(t *testing.T, l *webLab) {
		for kind, head := range unfinished {
			for how, cut := range cuts {
				t.Run(kind+", "+how, func(t *testing.T) {
					expectSoon(t, "the answer was cut", func() time.Duration {
						l.client = l.newClient() // by a connection of its own: one of HTTP/2 on which a cut takes too long is reset
						begun := l.begin(l.request("GET", "http://raw/", nil))
						service, rest, _ := l.served()
						io.WriteString(service, head)
						answer := <-begun
						if _, err := io.ReadFull(answer.Body, make([]byte, 5)); err != nil {
							t.Fatal(err)
						}
						cause := cut(l)
						at := time.Now()
						expectBreak(t, answer.Body)
						late := time.Since(at)
						expectBreak(t, rest)
						l.ends(cause)
						return late
					})
				})
			}
		}
	})
}

// So it is while the client takes nothing, with HTTP/1.0, whose answers may end with the connection, and after an upgrade.
func TestWebCutConnections(t *testing.T) {
	for _, d := range webDialects[:2] {
		t.Run(d.name, func(t *testing.T) {
			t.Parallel()
			l := startWeb(t, d.plain, false, hello)
			for kind, head := range unfinished {
				for how, cut := range cuts {
					t.Run("HTTP/1.0, "+kind+", "+how, func(t *testing.T) {
						client := l.send(strings.Replace(webAsking("GET", "http://raw/", ""), "HTTP/1.1", "HTTP/1.0", 1))
						service, _, _ := l.served()
						io.WriteString(service, head)
						answer, err := http.ReadResponse(bufio.NewReader(client), nil)
						if err != nil {
							t.Fatal(err)
						}
						io.ReadFull(answer.Body, make([]byte, 5))
						cause := cut(l)
						expectBreak(t, answer.Body)
						l.ends(cause)
					})
				}
			}
			for how, cut := range cuts {
				t.Run("takes nothing, "+how, func(t *testing.T) {
					expectSoon(t, "the session ended", func() time.Duration {
						client := l.send(webAsking("GET", "http://raw/", ""))
						service, _, _ := l.served()
						refused := make(chan struct{})
						go func() {
							defer close(refused)
							io.WriteString(service, unfinished["chunks"])
							for err := error(nil); err == nil; {
								_, err = io.WriteString(service, "400\r\n"+strings.Repeat("a", 1024)+"\r\n")
							}
						}()
						await(t, "nothing moves", l.full)
						cause := cut(l)
						at := time.Now()
						l.ends(cause)
						late := time.Since(at)
						<-refused
						if _, _, err := answerTo(t, client); err == nil {
							t.Error("the answer looks complete")
						}
						return late
					})
				})
				t.Run("upgraded, "+how, func(t *testing.T) {
					client, service := l.upgrade()
					pass(t, client, service, "hello")
					cause := cut(l)
					expectBreak(t, client)
					expectBreak(t, service)
					l.ends(cause)
				})
			}
		})
	}
}

// Before there is an answer, the client is told.
func TestWebCutBefore(t *testing.T) {
	eachWebDialect(t, hello, func(t *testing.T, l *webLab) {
		for name, body := range map[string]io.ReadCloser{"waiting": http.NoBody, "uploading": neverEnding()} {
			t.Run(name, func(t *testing.T) {
				defer body.Close()
				begun := l.begin(l.request("POST", "http://raw/", body))
				_, rest, _ := l.served()
				l.callers.end(token, "token expired")
				answer := <-begun
				if answer == nil {
					t.Fatal("no answer")
				}
				expectProblem(t, name, answer, jackfield.Unavailable, 503)
				io.Copy(io.Discard, rest)
				l.ends("token expired")
			})
		}
		t.Run("while the route opens", func(t *testing.T) {
			begun := l.begin(l.request("GET", "http://never-opening/", nil))
			await(t, "the session is there", func() bool { return l.sessions.Len() == 1 })
			l.callers.end(token, "token expired")
			expectProblem(t, "never-opening", <-begun, jackfield.Unavailable, 503)
		})
	})
}

// neverEnding is a body of which only the beginning comes.
func neverEnding() io.ReadCloser {
	body, up := io.Pipe()
	go io.WriteString(up, "beginning")
	return body
}

// A client that goes away takes its session with it, whatever it waits for.
func TestWebClientGone(t *testing.T) {
	eachWebDialect(t, hello, func(t *testing.T, l *webLab) {
		for name, test := range map[string]struct {
			body io.ReadCloser
			said string
		}{
			"waiting":           {http.NoBody, ""},
			"uploading":         {neverEnding(), ""},
			"reading":           {http.NoBody, unfinished["chunks"]},
			"reading to length": {http.NoBody, unfinished["length"]},
			"both":              {neverEnding(), unfinished["chunks"]},
		} {
			t.Run(name, func(t *testing.T) {
				ctx, leave := context.WithCancel(t.Context())
				begun := l.begin(l.request("POST", "http://raw/", test.body).WithContext(ctx))
				service, rest, _ := l.served()
				io.WriteString(service, test.said)
				if test.said != "" {
					<-begun
				}
				leave()
				test.body.Close() // Go's client waits for it otherwise
				expectBreak(t, rest)
				l.ends(jackfield.EndClientReset)
			})
		}
		t.Run("while the route opens", func(t *testing.T) {
			ctx, leave := context.WithCancel(t.Context())
			l.begin(l.request("GET", "http://never-opening/", nil).WithContext(ctx))
			await(t, "the session is there", func() bool { return l.sessions.Len() == 1 })
			leave()
			await(t, "the session is over", func() bool { return l.sessions.Len() == 0 })
		})
	})
}

// Who takes nothing is sent nothing: the service has to wait.
func TestWebSlowReader(t *testing.T) {
	eachWebDialect(t, hello, func(t *testing.T, l *webLab) {
		begun := l.begin(l.request("GET", "http://raw/", nil))
		service, _, _ := l.served()
		io.WriteString(service, "HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n")
		go io.Copy(service, endless{})
		answer := <-begun
		await(t, "nothing moves", l.full)
		moved := l.sessions.List()[0].Transfer.FromService
		if moved > 32<<20 { // as much as the kernel may hold
			t.Errorf("%d bytes were taken for a client that takes none", moved)
		}
		if _, err := io.CopyN(io.Discard, answer.Body, moved+(1<<20)); err != nil {
			t.Errorf("it does not go on: %v", err)
		}
		answer.Body.Close()
		l.ends(jackfield.EndClientReset)
	})
}

// full says whether what the service sends waits for the client to take it.
func (l *webLab) full() bool {
	return l.stalled() && l.sessions.List()[0].Transfer.FromService > 64<<10
}

// What a service does wrong is told, or breaks the answer off; it never makes it look complete.
func TestWebServiceFaults(t *testing.T) {
	eachWebDialect(t, hello, func(t *testing.T, l *webLab) {
		for name, test := range map[string]struct {
			says string
			ends func(jackfield.Stream)
			end  string
		}{
			"no HTTP":         {"220 mail.example ESMTP\r\n", end, errFault.Error()},
			"nothing":         {"", end, errFault.Error()},
			"half a header":   {"HTTP/1.1 200 OK\r\nContent-", end, errFault.Error()},
			"endless header":  {"HTTP/1.1 200 OK\r\nX-A: " + strings.Repeat("a", 200<<10) + "\r\n\r\n", end, ""},
			"bad length":      {"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", end, errFault.Error()},
			"two lengths":     {"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", end, errFault.Error()},
			"other protocol":  {"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: other\r\n\r\n", end, errFault.Error()},
			"reset at once":   {"", resetStream, jackfield.EndServiceReset},
			"silent, and end": {"", func(s jackfield.Stream) { s.Close() }, ""},
		} {
			t.Run(name, func(t *testing.T) {
				begun := l.begin(l.request("GET", "http://raw/", nil))
				service, _, _ := l.served()
				go func() { io.WriteString(service, test.says); test.ends(service) }()
				answer := <-begun
				if answer == nil {
					t.Fatal("no answer")
				}
				expectProblem(t, name, answer, jackfield.Unavailable, 502)
				if record := l.closes(); test.end != "" && record.End.Cause != test.end {
					t.Errorf("the session ended with %+v", record.End)
				}
			})
		}
		for name, test := range map[string]struct {
			says string
			ends func(jackfield.Stream)
		}{
			"short of its length":  {"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello", end},
			"short of chunks":      {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", end},
			"broken chunk":         {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhelloXX\r\n", end},
			"reset in chunks":      {unfinished["chunks"], resetStream},
			"reset before the end": {unfinished["to the end"], resetStream},
		} {
			t.Run(name, func(t *testing.T) {
				begun := l.begin(l.request("GET", "http://raw/", nil))
				service, _, _ := l.served()
				io.WriteString(service, test.says)
				answer := <-begun
				if _, err := io.ReadFull(answer.Body, make([]byte, 5)); err != nil {
					t.Fatal(err)
				}
				test.ends(service)
				expectBreak(t, answer.Body)
				l.closes()
			})
		}
	})
}

func end(s jackfield.Stream) { s.CloseWrite() }

// An answer is complete when it is, whatever the service goes on doing.
func TestWebServiceGoesOn(t *testing.T) {
	eachWebDialect(t, hello, func(t *testing.T, l *webLab) {
		for name, test := range map[string]struct {
			method, says string
			endless      bool
		}{
			"keeps its connection":   {"GET", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", false},
			"says more":              {"GET", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhelloHTTP/1.1 200 OK\r\n", false},
			"says more and more":     {"GET", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", true},
			"body of HEAD":           {"HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", true},
			"body of 204":            {"GET", "HTTP/1.1 204 No Content\r\n\r\nhello", true},
			"answers an upload":      {"POST", "HTTP/1.1 413 Too Large\r\nContent-Length: 5\r\n\r\nhello", false},
			"answers it in chunks":   {"POST", "HTTP/1.1 413 Too Large\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", false},
			"hints before it":        {"GET", "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", false},
			"asks for what is there": {"POST", "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", false},
		} {
			t.Run(name, func(t *testing.T) {
				var body io.ReadCloser = http.NoBody
				if test.method == "POST" {
					body = neverEnding()
				}
				defer body.Close()
				begun := l.begin(l.request(test.method, "http://raw/", body))
				service, _, _ := l.served()
				go func() {
					io.WriteString(service, test.says)
					if test.endless {
						io.Copy(service, endless{})
					}
				}()
				answer := <-begun
				if answer == nil {
					t.Fatal("no answer")
				}
				text, err := io.ReadAll(answer.Body)
				if want := "hello"; err != nil || string(text) != want && test.method != "HEAD" && answer.StatusCode != 204 {
					t.Errorf("got %q, %v", text, err)
				}
				l.ends(jackfield.EndFinished)
			})
		}
	})
}
