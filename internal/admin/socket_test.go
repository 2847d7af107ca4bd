package admin

import (
	"errors"
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
	stop := serveSocket(t, path)
	if _, err := os.Lstat(path); err != nil {
		t.Fatal(err)
	}
	stop()
	if _, err := os.Lstat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("after the stop: %v", err)
	}
	serveSocket(t, path)
	if err := status(t, path); err != nil {
		t.Errorf("the next server: %v", err)
	}
}

func TestSocketThatNeverServedIsRemovedToo(t *testing.T) {
	path := shortPath(t)
	server, err := ListenSocket(path, quiet)
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
	serveSocket(t, path)
	second, err := ListenSocket(path, quiet)
	if err == nil {
		second.Shutdown(t.Context())
		t.Fatal("a second server listens")
	}
	if !strings.Contains(err.Error(), "another server runs with this data_dir") {
		t.Error(err)
	}
	if err := status(t, path); err != nil {
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
			server, _ := ListenSocket(path, quiet)
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
	serveSocket(t, path)
	if err := status(t, path); err != nil {
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
	server, err := ListenSocket(path, quiet)
	if err == nil {
		server.Shutdown(t.Context())
		t.Fatal("no error")
	}
	if !strings.Contains(err.Error(), part) {
		t.Errorf("%q does not say %q", err, part)
	}
}

func TestOthersAreRefused(t *testing.T) {
	path := shortPath(t)
	stranger := func(net.Conn) error { return mayAdminister(uint32(os.Geteuid()) + 1) }
	server, err := listenSocket(path, quiet, stranger)
	if err == nil {
		server.SetHandler(http.HandlerFunc(answerStatus))
	}
	serve(t, server, err)
	if refusal := jackfield.AsError(status(t, path)); refusal.Kind != jackfield.Denied {
		t.Errorf("%v", refusal)
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
