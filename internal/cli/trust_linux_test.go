package cli

import (
	"encoding/pem"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"jackfield/internal/client"
)

// serveTLS makes a server whose certificate no public authority knows, and counts what it is told.
func serveTLS(t *testing.T) (server *httptest.Server, told *atomic.Int64) {
	t.Helper()
	told = new(atomic.Int64)
	server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		text, _ := io.ReadAll(r.Body)
		if r.Header.Get("Authorization") != "" || len(text) > 0 {
			told.Add(1)
		}
		io.WriteString(w, `{"user":"ada","token":"jft_new","expires":"2099-01-01T00:00:00Z"}`)
	}))
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	t.Cleanup(server.Close)
	return server, told
}

func pemOf(server *httptest.Server) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}))
}

// A server that is known by a public authority, and shows another certificate now, is no stranger to be trusted.
func TestTrustKnown(t *testing.T) {
	server, told := serveTLS(t)
	known := client.Login{URL: server.URL, Token: "jft_old"}
	for _, line := range []string{
		"login " + server.URL + " --context mal --trust --token-stdin",
		"login --trust --token-stdin",
		"login --trust --user ada --password-stdin",
		"login --token-stdin",
	} {
		contexts := logIn(t, known)
		_, stderr := runTill(t, strings.Fields(line), "jft_new\n", nil)
		if !strings.Contains(stderr, "somebody may be in between") || !strings.Contains(stderr, "--fingerprint") || strings.Contains(stderr, "pinned") {
			t.Errorf("%s: %q", line, stderr)
		}
		if l, err := contexts.Load("mal"); err != nil || l.Authorities != "" || l.Token != known.Token {
			t.Errorf("%s: %+v is kept, %v", line, l, err)
		}
	}
	if told.Load() > 0 {
		t.Error("the server was told a secret")
	}
	if stdout, stderr := runTill(t, []string{"login", server.URL, "--context", "new", "--trust", "--token-stdin"}, "jft_new\n", nil); !strings.Contains(stdout, "as ada") {
		t.Errorf("the first login: %q %q", stdout, stderr)
	}
}

// A token goes to the server that it is of, as that was known when it was given, and to no other.
func TestOldToken(t *testing.T) {
	server, told := serveTLS(t)
	met, err := client.Meet(t.Context(), server.URL)
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		authorities string
		told        int64 // the new token, and the old one
	}{
		"known by a public authority": {"", 1},
		"pinned as it is":             {pemOf(server), 2},
	} {
		told.Store(0)
		logIn(t, client.Login{URL: server.URL, Token: "jft_old", Authorities: test.authorities})
		line := "login --token-stdin --fingerprint " + met.Fingerprint()
		stdout, stderr := runTill(t, strings.Fields(line), "jft_new\n", nil)
		if !strings.Contains(stdout, "as ada") || told.Load() != test.told {
			t.Errorf("%s: told %d times: %q %q", name, told.Load(), stdout, stderr)
		}
	}
}
