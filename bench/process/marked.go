//go:build linux

package process

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
)

// Marked lists the living processes that have one of the marks as an argument, or as a variable (NAME=value) of the
// environment that they were started with, whoever started them. Those of other users are seen by root alone.
func Marked(marks ...string) ([]int, error) {
	dirs, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return nil, err
	}
	var pids []int
	for _, dir := range dirs {
		if !hasMark(dir, marks) {
			continue
		}
		pid, err := strconv.Atoi(filepath.Base(dir))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", dir, err)
		}
		pids = append(pids, pid)
	}
	return pids, nil
}

// hasMark looks where proc_pid_cmdline(5) and proc_pid_environ(5) tell, both empty for one that has ended: words that end
// with a NUL.
func hasMark(dir string, marks []string) bool {
	for _, name := range []string{"cmdline", "environ"} {
		text, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			continue // ended since, or not ours to read
		}
		for word := range bytes.SplitSeq(text, []byte{0}) {
			if slices.Contains(marks, string(word)) {
				return true
			}
		}
	}
	return false
}
