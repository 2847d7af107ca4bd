package https

import (
	"bufio"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"

	"jackfield"
)

// upgrade has a client and the service "raw" switch to another protocol.
func (l *webLab) upgrade() (client *joined, service jackfield.Stream) {
	l.t.Helper()
	stream := l.send(webAsking("GET", "http://raw/chat", "Connection: Upgrade\r\nUpgrade: websocket\r\n"))
	service, _, head := l.served()
	for _, want := range []string{"Connection: Upgrade\r\n", "Upgrade: websocket\r\n", "GET /chat HTTP/1.1\r\n"} {
		if !strings.Contains(head, want) {
			l.t.Errorf("the service gets %q, without %q", head, want)
		}
	}
	io.WriteString(service, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
	reader := bufio.NewReader(stream)
	answer, err := http.ReadResponse(reader, nil)
	if err != nil || answer.StatusCode != 101 || answer.Header.Get("Upgrade") != "websocket" {
		l.t.Fatalf("answered with %v, %v", answer, err)
	}
	return &joined{Stream: stream, reader: reader, answer: answer, reset: func() { resetStream(stream) }}, service
}

// What follows an upgrade is a stream like one of CONNECT.
func TestWebUpgrade(t *testing.T) {
	for _, d := range webDialects[:2] {
		t.Run(d.name, func(t *testing.T) {
			t.Parallel()
			l := startWeb(t, d.plain, false, hello)
			t.Run("the client ends", func(t *testing.T) {
				client, service := l.upgrade()
				pass(t, client, service, "GET http://raw/ HTTP/1.1\r\n\r\n\x81\x00\n") // nothing that could be a request
				pass(t, service, client, "answer")
				client.CloseWrite()
				expectEnd(t, service)
				pass(t, service, client, "after the client's end")
				service.CloseWrite()
				expectEnd(t, client)
				l.ends(jackfield.EndFinished)
			})
			t.Run("the service ends", func(t *testing.T) {
				client, service := l.upgrade()
				service.CloseWrite()
				expectEnd(t, client)
				pass(t, client, service, "after the service's end")
				client.CloseWrite()
				expectEnd(t, service)
				l.ends(jackfield.EndFinished)
			})
			t.Run("the client resets", func(t *testing.T) {
				client, service := l.upgrade()
				pass(t, client, service, "hello")
				client.reset()
				expectBreak(t, service)
				l.ends(jackfield.EndClientReset)
			})
			t.Run("the service resets", func(t *testing.T) {
				client, service := l.upgrade()
				pass(t, service, client, "hello")
				resetStream(service)
				expectBreak(t, client)
				l.ends(jackfield.EndServiceReset)
			})
			t.Run("the client takes nothing", func(t *testing.T) {
				client, service := l.upgrade()
				var sending sync.WaitGroup
				sending.Go(func() { io.Copy(service, endless{}) })
				await(t, "nothing moves", l.stalled)
				client.reset()
				sending.Wait()
				l.ends(jackfield.EndClientReset)
			})
			await(t, "the listener has let go of the connections", func() bool { return l.connections() == 0 })
		})
	}
}

// With HTTP/1.1 requests may follow each other without waiting, to the proxy or to us, and each is what it is.
func TestWebPipelined(t *testing.T) {
	for _, d := range webDialects[:2] {
		t.Run(d.name, func(t *testing.T) {
			l := startWeb(t, d.plain, false, hello)
			ours := "GET /fine HTTP/1.1\r\nHost: " + hostName + "\r\n\r\n"
			stream := l.send(webAsking("GET", "http://site/1", "") + ours +
				webAsking("POST", "http://site/2", "Content-Length: 4\r\n") + "body" + ours +
				webAsking("GET", "http://wired/", "") + ours)
			reader := bufio.NewReader(stream)
			for _, want := range []string{
				"HTTP/1.1 site /1", "HTTP/1.1 " + hostName + " /fine", "HTTP/1.1 site /2", "HTTP/1.1 " + hostName + " /fine", "not offered as a website",
			} {
				answer, err := http.ReadResponse(reader, nil)
				if err != nil {
					t.Fatal(err)
				}
				if text, _ := io.ReadAll(answer.Body); !strings.Contains(string(text), want) {
					t.Errorf("got %q, want %q", text, want)
				}
			}
			if rest, _ := io.ReadAll(reader); len(rest) > 0 {
				t.Errorf("behind a refusal: %q", rest)
			}
		})
	}
}

// Whose end can be read in two ways is no request, to the proxy either.
func TestWebSmuggling(t *testing.T) {
	l := startWeb(t, true, false, hello)
	for _, more := range []string{
		"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", "Content-Length: 5\r\nContent-Length: 6\r\n",
		"Transfer-Encoding: chunked, identity\r\n", "Transfer-Encoding: gzip\r\n", "Transfer-Encoding : chunked\r\n",
		"Host: other\r\n", " folded: x\r\n",
	} {
		stream := l.send(webAsking("POST", "http://site/", more) + "0\r\n\r\nGET http://site/smuggled HTTP/1.1\r\n\r\n")
		got, _ := io.ReadAll(stream)
		if !strings.HasPrefix(string(got), "HTTP/1.1 400 ") || strings.Count(string(got), "HTTP/1.1 ") != 1 {
			t.Errorf("%q: answered with %q", more, got)
		}
	}
	// With chunks, a request is the last one of its connection.
	stream := l.send(webAsking("POST", "http://site/", "Transfer-Encoding: chunked\r\n") + "0\r\n\r\n" + webAsking("GET", "http://site/smuggled", ""))
	if got, _ := io.ReadAll(stream); !strings.HasPrefix(string(got), "HTTP/1.1 200 ") || strings.Contains(string(got), "smuggled") {
		t.Errorf("behind chunks: %q", got)
	}
}
