package admin

import (
	"bytes"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"jackfield"
)

func TestSocketIsRemovedAtStop(t *testing.T) {
	path := shortPath(t)
	stop := serveSocket(t, path, newTable())
	if _, err := os.Lstat(path); err != nil {
		t.Fatal(err)
	}
	stop()
	if _, err := os.Lstat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("after the stop: %v", err)
	}
	serveSocket(t, path, newTable())
	if _, err := Dial(path).Status(t.Context()); err != nil {
		t.Errorf("the next server: %v", err)
	}
}

func TestSocketThatNeverServedIsRemovedToo(t *testing.T) {
	path := shortPath(t)
	server, err := ListenSocket(path, newTable(), Status{}, quiet)
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	if err := server.Serve(); err != nil {
		t.Errorf("Serve after Shutdown: %v", err)
	}
	if _, err := os.Lstat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("after the stop: %v", err)
	}
}

func TestSecondServerIsRefused(t *testing.T) {
	path := shortPath(t)
	serveSocket(t, path, newTable())
	second, err := ListenSocket(path, newTable(), Status{}, quiet)
	if err == nil {
		second.Shutdown(t.Context())
		t.Fatal("a second server listens")
	}
	if !strings.Contains(err.Error(), "another server runs with this data_dir") {
		t.Error(err)
	}
	if _, err := Dial(path).Status(t.Context()); err != nil {
		t.Errorf("the first server was disturbed: %v", err)
	}
}

func TestOfServersThatStartAtOnceOneListens(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("no lock there")
	}
	path := shortPath(t)
	leaveSocket(t, path)
	const starting = 16
	results := make(chan *Server, starting)
	for range starting {
		go func() {
			server, _ := ListenSocket(path, newTable(), Status{}, quiet)
			results <- server
		}()
	}
	var listening []*Server
	for range starting {
		if server := <-results; server != nil {
			listening = append(listening, server)
		}
	}
	if len(listening) != 1 {
		t.Errorf("%d servers listen", len(listening))
	}
	for _, server := range listening {
		server.Shutdown(t.Context())
	}
}

func TestStaleSocketIsTakenOver(t *testing.T) {
	path := shortPath(t)
	leaveSocket(t, path)
	serveSocket(t, path, newTable())
	if _, err := Dial(path).Status(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestWhatIsNoSocketIsLeftAlone(t *testing.T) {
	path := shortPath(t)
	if err := os.WriteFile(path, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	wantListenError(t, path, "is not a socket")
	if text, err := os.ReadFile(path); err != nil || string(text) != "precious" {
		t.Errorf("the file now: %q, %v", text, err)
	}
}

func TestPathsThatCannotBe(t *testing.T) {
	wantListenError(t, filepath.Join(t.TempDir(), strings.Repeat("x", maxSocketPath)), "shorter data_dir")
	wantListenError(t, filepath.Join(filepath.Dir(shortPath(t)), "none", SocketName), "none")
}

func wantListenError(t *testing.T, path, part string) {
	t.Helper()
	server, err := ListenSocket(path, newTable(), Status{}, quiet)
	if err == nil {
		server.Shutdown(t.Context())
		t.Fatal("no error")
	}
	if !strings.Contains(err.Error(), part) {
		t.Errorf("%q does not say %q", err, part)
	}
}

func TestOthersAreRefused(t *testing.T) {
	path, sessions := shortPath(t), newTable()
	var text bytes.Buffer
	a := &api{control: sessions, log: slog.New(slog.NewTextHandler(&text, nil))}
	stranger := func(net.Conn) error { return mayAdminister(uint32(os.Geteuid()) + 1) }
	server, err := listenSocket(path, a, stranger)
	stop := serve(t, server, err)
	_, err = Dial(path).Sessions(t.Context())
	refusals := []error{err, Dial(path).Disconnect(t.Context(), "b2")}
	stop()
	for _, err := range refusals {
		refusal, is := errors.AsType[*jackfield.Error](err)
		if !is || refusal.Kind != jackfield.Denied {
			t.Fatalf("%v", err)
		}
		if !strings.Contains(text.String(), refusal.ID) {
			t.Errorf("the log has no %s:\n%s", refusal.ID, &text)
		}
	}
	if len(sessions.cut) != 0 {
		t.Error("a stranger cut a session")
	}
}

func TestMayAdminister(t *testing.T) {
	own := uint32(os.Geteuid())
	for uid, allowed := range map[uint32]bool{0: true, own: true, own + 1: false, 65534: own == 65534} {
		if err := mayAdminister(uid); (err == nil) != allowed {
			t.Errorf("user %d: %v", uid, err)
		}
	}
}

func TestUnknownEndpointsAnswerInJSON(t *testing.T) {
	path := shortPath(t)
	serveSocket(t, path, newTable())
	client := Dial(path)
	for _, request := range []string{"GET /", "POST /v1/sessions", "GET /debug/pprof/", "GET /metrics"} {
		method, target, _ := strings.Cut(request, " ")
		err := client.do(t.Context(), method, target, nil)
		if refusal, is := errors.AsType[*jackfield.Error](err); !is || refusal.Kind != jackfield.NotFound {
			t.Errorf("%s: %v", request, err)
		}
	}
}

func TestSessionsAsJSON(t *testing.T) {
	path, sessions := shortPath(t), newTable()
	serveSocket(t, path, sessions)
	const want = `{"sessions":[{"id":"a/1","listener":"mux","protocol":"tcpmux","source":"192.0.2.7:4711","user":"ada",` +
		`"service":"console.fpga-1","route":"dial 127.0.0.1:80","started":"2026-11-22T05:00:00Z",` +
		`"bytes_from_client":3,"bytes_from_service":1099511627776},` +
		`{"id":"b2","listener":"mux","protocol":"","source":"","user":"","service":"time","route":"",` +
		`"started":"2026-11-22T05:01:00Z","bytes_from_client":0,"bytes_from_service":0}]}` + "\n"
	if got := get(t, path); got != want {
		t.Errorf("got  %swant %s", got, want)
	}
	sessions.sessions = nil
	if got := get(t, path); got != `{"sessions":[]}`+"\n" {
		t.Errorf("without sessions: %s", got)
	}
}

func get(t *testing.T, path string) string {
	t.Helper()
	answer, err := Dial(path).http.Get("http://admin/v1/sessions")
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode != http.StatusOK {
		t.Fatalf("%s, %v", answer.Status, err)
	}
	return string(body)
}

// leaveSocket makes a socket that nobody answers on, as a server that was killed leaves one.
func leaveSocket(t *testing.T, path string) {
	t.Helper()
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	listener.SetUnlinkOnClose(false)
	listener.Close()
}
