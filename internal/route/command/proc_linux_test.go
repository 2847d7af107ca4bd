package command_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// statOf returns the state, parent and process group of a process (proc_pid_stat(5)).
func statOf(pid int) (state string, parent, group int) {
	stat, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	if err != nil {
		return "", 0, 0
	}
	fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
	parent, _ = strconv.Atoi(fields[1])
	group, _ = strconv.Atoi(fields[2])
	return fields[0], parent, group
}

// lives says whether a process is there and no zombie.
func lives(pid int) bool {
	state, _, _ := statOf(pid)
	return state != "" && state != "Z"
}

// noChildrenBut checks that this process has no child but one, zombies included.
func noChildrenBut(t testing.TB, except int) {
	t.Helper()
	entries, err := os.ReadDir("/proc")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil || pid == except {
			continue
		}
		if state, parent, _ := statOf(pid); parent == os.Getpid() {
			t.Errorf("child %d is left, in state %s", pid, state)
		}
	}
}

// descriptorsOf returns what each descriptor of a process is.
func descriptorsOf(t testing.TB, pid int) map[string]string {
	t.Helper()
	dir := filepath.Join("/proc", strconv.Itoa(pid), "fd")
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	found := make(map[string]string)
	for _, e := range entries {
		if target, err := os.Readlink(filepath.Join(dir, e.Name())); err == nil { // not that of ReadDir
			found[e.Name()] = target
		}
	}
	return found
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return !errors.Is(err, fs.ErrNotExist)
}
