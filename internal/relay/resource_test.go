//go:build linux

package relay

import (
	"os"
	"runtime"
	"testing"

	"jackfield"
)

func descriptors(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	must(t, err)
	return len(entries)
}

// inUse returns the bytes of heap and stacks that are in use once everything unreachable is gone.
func inUse() int64 {
	for range 3 { // the pool of buffers gives up what is not held after two collections
		runtime.GC()
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc + m.StackInuse)
}

func TestIdleSessionsHoldLittle(t *testing.T) {
	const sessions = 200
	join(t, t.Context(), tcpPair, tcpPair, Options{}) // the poller's own descriptors
	memory, files := inUse(), descriptors(t)
	lines := make([]*line, sessions)
	big := string(randomBytes(7, 64<<10))
	for i := range lines {
		l := join(t, t.Context(), tcpPair, tcpPair, Options{})
		pass(t, l.client, l.service, big)
		pass(t, l.service, l.client, "x")
		lines[i] = l
	}
	// The far ends are in this process too: two descriptors, and memory that is not the relay's but counted as if it were.
	if held := descriptors(t) - files; held != 4*sessions {
		t.Errorf("%d sessions hold %d descriptors, want 2 each", sessions, held-2*sessions)
	}
	if held := (inUse() - memory) / sessions; held > 16<<10 {
		t.Errorf("an idle session holds %d bytes", held)
	} else {
		t.Logf("an idle session holds %d bytes", held)
	}
	runtime.KeepAlive(lines)
}

func TestDescriptorsComeBack(t *testing.T) {
	join(t, t.Context(), tcpPair, tcpPair, Options{})
	before := descriptors(t)
	for i := range 200 {
		l := join(t, t.Context(), tcpPair, tcpPair, Options{})
		pass(t, l.client, l.service, "hello")
		switch i % 3 {
		case 0:
			must(t, l.client.Close())
			must(t, l.service.Close())
			l.ends(jackfield.EndFinished, 5, 0)
		case 1:
			reset(l.client)
			l.ends(jackfield.EndClientReset, 5, 0)
		case 2:
			l.cancel(os.ErrProcessDone)
			l.ends(os.ErrProcessDone.Error(), 5, 0)
		}
		l.client.Close()
		l.service.Close()
	}
	if after := descriptors(t); after != before {
		t.Errorf("%d descriptors before 200 sessions, %d after", before, after)
	}
}
