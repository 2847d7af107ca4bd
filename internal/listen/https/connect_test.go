package https

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"jackfield"
	"jackfield/internal/tlsstream"
)

func TestConnect(t *testing.T) {
	eachDialect(t, func(t *testing.T, l *lab, connect func(target, authorization string) *joined) {
		client := connect("Board.FPGA-1:1", bearer(token))
		if client.answer.StatusCode != http.StatusOK {
			t.Fatalf("answered with %s", client.answer.Status)
		}
		service := l.service()
		pass(t, client, service, "question")
		pass(t, service, client, "answer")
		if live := l.sessions.List(); len(live) != 1 || live[0].Service != "board.fpga-1" || live[0].Identity.User != "ann" {
			t.Errorf("live sessions: %+v", live)
		}
		client.CloseWrite()
		expectEnd(t, service)
		pass(t, service, client, "after the client's end")
		service.CloseWrite()
		expectEnd(t, client)
		record := l.closes()
		want := jackfield.Transfer{FromClient: 8, FromService: 28}
		if record.End.Cause != jackfield.EndFinished || record.Transfer != want {
			t.Errorf("closed with %+v, %+v", record.End, record.Transfer)
		}
		if record.Identity.User != "ann" || record.Identity.Proof != jackfield.ProofToken || record.Listener != "web" ||
			record.Protocol != "https" || record.Source.String() == "" {
			t.Errorf("the record is %+v", record.Request)
		}
		await(t, "the listener has let go of the connection", func() bool {
			return client.answer.ProtoMajor == 2 || l.connections() == 0
		})
	})
}

func TestCredentials(t *testing.T) {
	eachDialect(t, func(t *testing.T, l *lab, connect func(target, authorization string) *joined) {
		for name, test := range map[string]struct {
			authorization string
			status        int
		}{
			"Bearer":                     {bearer(token), 200},
			"bearer, in small letters":   {"bearer  " + token, 200},
			"Basic":                      {basic("ann", token), 200},
			"Basic, user in capitals":    {basic("ANN", token), 200},
			"Basic without a user":       {basic("", token), 200},
			"Basic with another user":    {basic("ben", token), 407},
			"Basic with a password":      {basic("ann", "correct horse"), 407},
			"Basic with the token first": {basic(token, ""), 407},
			"Basic without a colon":      {"Basic YW5u", 407},
			"Basic that is no base64":    {"Basic !", 407},
			"Basic alone":                {"Basic", 407},
			"Bearer of nothing":          {"Bearer", 407},
			"wrong token":                {bearer("jft_bad"), 407},
			"another scheme":             {"Digest x", 407},
			"nothing":                    {"", 407},
			"token without the scope":    {bearer(readOnly), 403},
		} {
			client := connect("wired:1", test.authorization)
			if got := client.answer.StatusCode; got != test.status {
				t.Errorf("%s: answered with %d, want %d", name, got, test.status)
			}
			if test.status == 200 {
				service := l.service()
				client.CloseWrite()
				service.Close()
				l.ends(jackfield.EndFinished)
			}
			if challenges := client.answer.Header.Values("Proxy-Authenticate"); (len(challenges) == 2) != (test.status == 407) {
				t.Errorf("%s: challenges are %q", name, challenges)
			}
			client.Close()
		}
	})
}

func TestTwoCredentials(t *testing.T) {
	l := startLab(t, true, nil)
	both := "Proxy-Authorization: " + bearer(token) + "\r\n"
	if client := l.ask(l.dialStream(), "CONNECT wired:1 HTTP/1.1\r\n"+both+both+"\r\n"); client.answer.StatusCode != 407 {
		t.Errorf("answered with %s", client.answer.Status)
	}
}

func TestClientCertificate(t *testing.T) {
	for name, test := range map[string]struct {
		owner, authorization string
		status               int
	}{
		"of a user":                     {"ann", "", 200},
		"of nobody":                     {"eve", "", 407},
		"beside a token":                {"eve", bearer(token), 200},
		"beside a token that is no use": {"ann", bearer("jft_bad"), 407},
	} {
		t.Run(name, func(t *testing.T) {
			pair := newClientCertificate(t, test.owner)
			l := startLab(t, false, func(_ *lab, o *Options) {
				o.TLS.ClientAuth = tls.VerifyClientCertIfGiven
				o.TLS.ClientCAs = x509.NewCertPool()
				o.TLS.ClientCAs.AddCert(pair.Leaf)
			})
			client := l.ask(l.dialStream(pair), asking("wired:1", test.authorization))
			if client.answer.StatusCode != test.status {
				t.Fatalf("answered with %s, want %d", client.answer.Status, test.status)
			}
			if test.owner != "ann" || test.status != 200 {
				return
			}
			l.callers.end("certificate", "certificate revoked")
			expectBreak(t, client)
			l.ends("certificate revoked")
		})
	}
}

func TestConnectRefusals(t *testing.T) {
	eachDialect(t, func(t *testing.T, l *lab, connect func(target, authorization string) *joined) {
		for target, want := range map[string]struct {
			kind   jackfield.Kind
			status int
		}{
			"missing:1":                       {jackfield.NotFound, 404},
			"hidden:1":                        {jackfield.NotFound, 404},
			"held:1":                          {jackfield.Busy, 409},
			"full:1":                          {jackfield.Limited, 429},
			"dead:1":                          {jackfield.Unavailable, 503},
			"faulty:1":                        {jackfield.Internal, 500},
			"a.b.c:1":                         {jackfield.Invalid, 400},
			"board.fpga-1.:1":                 {jackfield.Invalid, 400},
			"..:1":                            {jackfield.Invalid, 400},
			"help:1":                          {jackfield.Invalid, 400},
			"[::1]:1":                         {jackfield.Invalid, 400},
			"wired:0":                         {jackfield.Invalid, 400},
			"wired:65536":                     {jackfield.Invalid, 400},
			strings.Repeat("a", 20000) + ":1": {jackfield.Invalid, 400},
		} {
			client := connect(target, bearer(token))
			expectProblem(t, target, client.answer, want.kind, want.status)
			client.Close()

			client = connect(target, "") // who is nobody learns nothing
			expectProblem(t, target, client.answer, jackfield.Unauthenticated, 407)
			client.Close()
		}
		if n := l.sessions.Len(); n != 0 {
			t.Errorf("%d sessions are open", n)
		}
	})
}

// expectProblem expects a refusal in HTTP's words.
func expectProblem(t *testing.T, what string, answer *http.Response, kind jackfield.Kind, status int) {
	t.Helper()
	if len(what) > 30 {
		what = what[:30]
	}
	text, err := io.ReadAll(io.LimitReader(answer.Body, 10<<10))
	var p problem
	if err != nil || json.Unmarshal(text, &p) != nil {
		t.Errorf("%s: the body is %q, %v", what, text, err)
		return
	}
	if answer.StatusCode != status || p.Status != status || p.Kind != kind || p.Detail == "" || p.ID == "" {
		t.Errorf("%s: %s, %+v; want %d and %s", what, answer.Status, p, status, kind)
	}
	if said := answer.Header.Get("Proxy-Status"); !strings.HasPrefix(said, "jackfield; error=") || !strings.Contains(said, p.ID) {
		t.Errorf("%s: Proxy-Status is %q", what, said)
	}
	if strings.Contains(string(text), "secret of ours") {
		t.Errorf("%s: the client is told %q", what, text)
	}
}

// What cannot be a target at all is refused before anybody is asked.
func TestNoTarget(t *testing.T) {
	for name, plain := range map[string]bool{"plain": true, "TLS": false} {
		t.Run(name, func(t *testing.T) {
			l := startLab(t, plain, nil)
			for _, text := range []string{
				"CONNECT / HTTP/1.1", "CONNECT http://wired/ HTTP/1.1", "CONNECT wired HTTP/1.1", "CONNECT a b:1 HTTP/1.1",
				"CONNECT wired: HTTP/1.1", "CONNECT :1 HTTP/1.1", "CONNECT ::1 HTTP/1.1", "CONNECT wired:x HTTP/1.1",
				"CONNECT wi\x01red:1 HTTP/1.1", "CONNECT wired:1/x HTTP/1.1", "CONNECT * HTTP/1.1", "CONNECT ann@wired:1 HTTP/1.1",
				"CONNECT ..%2f..%2fwired:1 HTTP/1.1", "CONNECT  HTTP/1.1",
				"CONNECT " + strings.Repeat("a.", 32<<10) + ":1 HTTP/1.1", "CONNECT wired:1 HTTP/1.1\r\nContent-Length: 4",
				"CONNECT wired:1 HTTP/1.1\r\nTransfer-Encoding: chunked",
			} {
				text += "\r\nHost: localhost\r\nProxy-Authorization: " + bearer(token) + "\r\n\r\n"
				client := l.ask(l.dialStream(), text)
				if client.answer.StatusCode != 400 && client.answer.StatusCode != 431 {
					t.Errorf("%.40q: answered with %s", text, client.answer.Status)
				}
				client.Close()
			}
			if len(l.serve) > 0 {
				t.Error("a session was opened")
			}
		})
	}
}

// What a client sends before it knows the answer is data; behind a refusal it is dropped, and never read as requests.
func TestEarlyData(t *testing.T) {
	for name, plain := range map[string]bool{"plain": true, "TLS": false} {
		t.Run(name, func(t *testing.T) {
			l := startLab(t, plain, nil)
			early := make([]byte, 300<<10) // more than any buffer has
			rand.NewChaCha8([32]byte{}).Read(early)
			for _, size := range []int{1, 100, 4095, 4096, 5000, len(early)} {
				stream := l.dialStream()
				var sending sync.WaitGroup
				sending.Go(func() {
					io.WriteString(stream, asking("wired:1", bearer(token))+string(early[:size]))
					stream.CloseWrite()
				})
				service := l.service()
				got, err := io.ReadAll(service)
				if err != nil || sha256.Sum256(got) != sha256.Sum256(early[:size]) {
					t.Errorf("%d of %d bytes have come, %v", len(got), size, err)
				}
				sending.Wait()
				client := l.ask(stream, "")
				pass(t, service, client, "answer")
				service.Close()
				expectEnd(t, client)
				l.ends(jackfield.EndFinished)
			}
			stream := l.dialStream()
			client := l.ask(stream, asking("missing:1", bearer(token))+asking("wired:1", bearer(token)))
			if client.answer.StatusCode != 404 {
				t.Errorf("answered with %s", client.answer.Status)
			}
			if rest, _ := io.ReadAll(client); strings.Contains(string(rest), "HTTP/1.1 ") {
				t.Errorf("then %q", rest)
			}
		})
	}
}

// A client that ends its side before its session is open is a client still.
func TestEarlyEnd(t *testing.T) {
	for _, d := range dialects[:2] {
		t.Run(d.name, func(t *testing.T) {
			l := startLab(t, d.plain, nil)
			for range 100 {
				stream := l.dialStream()
				io.WriteString(stream, asking("wired:1", bearer(token)))
				stream.CloseWrite()
				client := l.ask(stream, "")
				service := l.service()
				expectEnd(t, service)
				pass(t, service, client, "answer")
				service.Close()
				expectEnd(t, client)
				l.ends(jackfield.EndFinished)
			}
		})
	}
}

// What the service ends first: with HTTP/1.1 its own direction, with HTTP/2 the whole.
func TestServiceEndsFirst(t *testing.T) {
	eachDialect(t, func(t *testing.T, l *lab, connect func(target, authorization string) *joined) {
		for range 20 {
			client := connect("wired:1", bearer(token))
			service := l.service()
			pass(t, service, client, "greeting")
			service.CloseWrite()
			expectEnd(t, client)
			if client.answer.ProtoMajor == 1 {
				pass(t, client, service, "still here")
				client.CloseWrite()
			}
			expectEnd(t, service)
			l.ends(jackfield.EndFinished)
			client.Close()
		}
	})
}

func TestConnectResets(t *testing.T) {
	eachDialect(t, func(t *testing.T, l *lab, connect func(target, authorization string) *joined) {
		t.Run("by the client", func(t *testing.T) {
			client := connect("wired:1", bearer(token))
			service := l.service()
			pass(t, client, service, "hello")
			client.reset()
			expectBreak(t, service)
			l.ends(jackfield.EndClientReset)
		})
		t.Run("by the client after its end", func(t *testing.T) {
			client := connect("wired:1", bearer(token))
			service := l.service()
			client.CloseWrite()
			expectEnd(t, service)
			client.reset()
			l.ends(jackfield.EndClientReset)
		})
		t.Run("by the client while it takes nothing", func(t *testing.T) {
			client := connect("wired:1", bearer(token))
			service := l.service()
			var sending sync.WaitGroup
			sending.Go(func() { io.Copy(service, endless{}) })
			await(t, "nothing moves", l.stalled)
			client.reset()
			sending.Wait()
			l.ends(jackfield.EndClientReset)
		})
		t.Run("by the service", func(t *testing.T) {
			client := connect("wired:1", bearer(token))
			service := l.service()
			pass(t, service, client, "hello")
			resetStream(service)
			expectBreak(t, client)
			l.ends(jackfield.EndServiceReset)
			client.Close()
		})
		t.Run("by the service after the client's end", func(t *testing.T) {
			client := connect("wired:1", bearer(token))
			service := l.service()
			client.CloseWrite()
			expectEnd(t, service)
			resetStream(service)
			expectBreak(t, client)
			l.ends(jackfield.EndServiceReset)
		})
	})
}

// stalled says whether no session has moved a byte for a moment.
func (l *lab) stalled() bool {
	moved := func() (n int64) {
		for _, s := range l.sessions.List() {
			n += s.Transfer.FromClient + s.Transfer.FromService
		}
		return n
	}
	before := moved()
	time.Sleep(100 * time.Millisecond)
	return before > 0 && moved() == before
}

type endless struct{}

func (endless) Read(p []byte) (int, error) { return len(p), nil }

// TLS that ends without close_notify was cut.
func TestMissingCloseNotify(t *testing.T) {
	l := startLab(t, false, nil)
	client := l.connectH1("wired:1", bearer(token))
	service := l.service()
	pass(t, client, service, "half of")
	client.Stream.(*tlsstream.Stream).NetConn().Close()
	expectBreak(t, service)
	l.ends(jackfield.EndClientReset)
}

func TestRevocation(t *testing.T) {
	eachDialect(t, func(t *testing.T, l *lab, connect func(target, authorization string) *joined) {
		for name, prepare := range map[string]func(client *joined, service jackfield.Stream){
			"idle":                   func(*joined, jackfield.Stream) {},
			"after the client's end": func(c *joined, s jackfield.Stream) { c.CloseWrite(); expectEnd(t, s) },
			"while the client takes nothing": func(_ *joined, s jackfield.Stream) {
				go io.Copy(s, endless{})
				await(t, "nothing moves", l.stalled)
			},
		} {
			t.Run(name, func(t *testing.T) {
				client := connect("wired:1", bearer(token))
				service := l.service()
				prepare(client, service)
				l.callers.end(token, "token revoked")
				l.ends("token revoked")
				expectBreak(t, client)
			})
		}
		t.Run("while the route opens", func(t *testing.T) {
			var over sync.WaitGroup
			over.Go(func() {
				if client := connect("never-opening:1", bearer(token)); client.answer.StatusCode != 503 {
					t.Errorf("answered with %s", client.answer.Status)
				}
			})
			await(t, "the session is there", func() bool { return l.sessions.Len() == 1 })
			l.callers.end(token, "token expired")
			over.Wait()
		})
		t.Run("by a disconnect", func(t *testing.T) {
			client := connect("wired:1", bearer(token))
			l.service()
			l.sessions.Disconnect(l.sessions.List()[0].ID, "disconnected by admin")
			expectBreak(t, client)
			l.ends("disconnected by admin")
		})
	})
}

// The bytes are those that were sent, both ways at once.
func TestConnectBulk(t *testing.T) {
	eachDialect(t, func(t *testing.T, l *lab, connect func(target, authorization string) *joined) {
		const size = 4 << 20
		client := connect("wired:1", bearer(token))
		service := l.service()
		var together sync.WaitGroup
		for seed, ends := range [][2]io.ReadWriter{{client, service}, {service, client}} {
			sent := make([]byte, size)
			rand.NewChaCha8([32]byte{byte(seed)}).Read(sent)
			together.Go(func() {
				if _, err := ends[0].Write(sent); err != nil {
					t.Error(err)
				}
			})
			together.Go(func() {
				got := sha256.New()
				if _, err := io.CopyN(got, ends[1], size); err != nil || [32]byte(got.Sum(nil)) != sha256.Sum256(sent) {
					t.Errorf("other bytes have arrived, %v", err)
				}
			})
		}
		together.Wait()
		client.CloseWrite()
		service.Close()
		l.ends(jackfield.EndFinished)
	})
}
