package cli

import (
	"strings"
	"testing"
	"time"

	"jackfield/internal/api"
)

func TestBytesCount(t *testing.T) {
	for n, want := range map[int64]string{
		0: "0 B", 1023: "1023 B", 1024: "1.0 KiB", 1536: "1.5 KiB", 1 << 20: "1.0 MiB", 5 << 30: "5.0 GiB", 1<<63 - 1: "8.0 EiB",
	} {
		if got := bytesCount(n); got != want {
			t.Errorf("bytesCount(%d) = %q, want %q", n, got, want)
		}
	}
}

func TestVisible(t *testing.T) {
	if got, want := visible("ok\x1b[2Jä\x00\r\xff\u009b"), "ok?[2Jä????"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestPrintSessions(t *testing.T) {
	started := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	var out strings.Builder
	err := printSessions(&out, []api.Session{{
		ID: "abcd-1", Service: "web", Listener: "mux", Route: "dial 127.0.0.1:80",
		Started: started, BytesFromClient: 2048,
	}}, started.Add(90*time.Second))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"ID ", "abcd-1", "1m30s", "2.0 KiB", "dial 127.0.0.1:80"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is missing in\n%s", want, out.String())
		}
	}
}
