//go:build linux

package process

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func start(t *testing.T, script string) *Process {
	t.Helper()
	s := NewSupervisor()
	t.Cleanup(s.Close)
	p, err := s.Start(Spec{Path: "/bin/sh", Args: []string{"-c", script}, Log: filepath.Join(t.TempDir(), "log")})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// eventually polls a condition that another process brings about.
func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !condition(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("never: %s", what)
		}
	}
}

func alive(t *testing.T, p *Process) int {
	t.Helper()
	pids, err := p.members()
	if err != nil {
		t.Fatal(err)
	}
	return len(pids)
}

func TestStopEndsTheWholeGroup(t *testing.T) {
	p := start(t, "sleep 100 & sleep 100 & wait")
	eventually(t, "three processes", func() bool { return alive(t, p) == 3 })
	p.Stop()
	if n := alive(t, p); n != 0 {
		t.Errorf("%d processes are left", n)
	}
	p.Stop() // again, without harm
}

func TestStopKillsWhatDoesNotListen(t *testing.T) {
	p := start(t, "trap '' TERM; echo ready; while :; do sleep 0.01; done")
	eventually(t, "the trap stands", func() bool { return strings.Contains(p.LogTail(), "ready") })
	p.Stop()
	if n := alive(t, p); n != 0 {
		t.Errorf("%d processes are left", n)
	}
}

func TestCloseStopsEverything(t *testing.T) {
	s := NewSupervisor()
	var all []*Process
	for range 3 {
		p, err := s.Start(Spec{Path: "/bin/sleep", Args: []string{"100"}})
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
	s.Close()
	for _, p := range all {
		if n := alive(t, p); n != 0 {
			t.Errorf("%d processes are left", n)
		}
	}
}

func TestStartTellsWhatItCouldNotStart(t *testing.T) {
	s := NewSupervisor()
	defer s.Close()
	_, err := s.Start(Spec{Path: "/nonexistent/program"})
	if err == nil || !strings.Contains(err.Error(), "/nonexistent/program") {
		t.Errorf("the error is %v", err)
	}
}

func TestUsageGrowsWithDescriptorsAndProcesses(t *testing.T) {
	one := start(t, "echo ready; sleep 100; :")
	three := start(t, "exec 7</dev/null 8</dev/null; sleep 100 & sleep 100 & echo ready; wait")
	for _, p := range []*Process{one, three} {
		eventually(t, "ready", func() bool { return strings.Contains(p.LogTail(), "ready") })
	}
	eventually(t, "both stand", func() bool { return alive(t, one) == 2 && alive(t, three) == 3 })
	a, err := one.Usage()
	if err != nil {
		t.Fatal(err)
	}
	b, err := three.Usage()
	if err != nil {
		t.Fatal(err)
	}
	if a.Resident <= 0 || b.Resident <= a.Resident {
		t.Errorf("resident: two processes %d, three %d", a.Resident, b.Resident)
	}
	if a.Descriptors < 3 || b.Descriptors < a.Descriptors+3+2 {
		t.Errorf("descriptors: two processes %d, three with two more each %d", a.Descriptors, b.Descriptors)
	}
}

func TestASessionOfItsOwnIsWeighedToo(t *testing.T) {
	end := filepath.Join(t.TempDir(), "end")
	p := start(t, "setsid sh -c 'while [ ! -e "+end+" ]; do sleep 0.1; done' & wait")
	eventually(t, "three processes", func() bool { return alive(t, p) == 3 })
	if err := os.WriteFile(end, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	eventually(t, "all have ended", func() bool { return alive(t, p) == 0 })
}

func TestUsageOfTheDead(t *testing.T) {
	p := start(t, "exit 0")
	<-p.Done()
	if u, err := p.Usage(); err == nil {
		t.Errorf("a program that has ended uses %+v", u)
	}
}

func TestParseStatWithAHostileName(t *testing.T) {
	state, parent, group := parseStat([]byte("12 (a) S 9 9) R 1 4711 12 0"))
	if state != 'R' || parent != 1 || group != 4711 {
		t.Errorf("state %c, parent %d, group %d", state, parent, group)
	}
	if _, _, group := parseStat([]byte("12 (cut")); group != 0 {
		t.Errorf("a cut line has group %d", group)
	}
}

func TestRaiseDescriptorLimit(t *testing.T) {
	now, err := RaiseDescriptorLimit()
	if err != nil {
		t.Fatal(err)
	}
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	if limit.Cur != now || now < min(limit.Max, wantedDescriptors) {
		t.Errorf("the limit is %d of %d, said to be %d", limit.Cur, limit.Max, now)
	}
}

func TestMarkedFindsByArgumentAndByEnvironment(t *testing.T) {
	mark := "MARK=" + t.TempDir()
	p := start(t, "env '"+mark+"' sleep 100 & sleep 100 & sh -c 'sleep 100; :' '"+mark+"' & wait")
	count := func() int {
		pids, err := Marked(mark)
		if err != nil {
			t.Fatal(err)
		}
		return len(pids)
	}
	eventually(t, "both are found, and nothing else", func() bool { return count() == 2 })
	p.Stop()
	eventually(t, "none is found", func() bool { return count() == 0 })
}
