//go:build linux

package process

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
)

// Usage is what a group of processes holds.
type Usage struct {
	Resident    int64 // bytes; a page that several processes share counts in each
	Descriptors int
}

// Usage adds up the program and everything that it forked. A process that ends meanwhile counts nothing.
func (p *Process) Usage() (Usage, error) {
	pids, err := p.members()
	if err != nil {
		return Usage{}, err
	}
	if len(pids) == 0 {
		return Usage{}, fmt.Errorf("%s has ended", p.cmd.Path)
	}
	var sum Usage
	for _, pid := range pids {
		sum.Resident += resident(pid)
		sum.Descriptors += descriptors(pid)
	}
	return sum, nil
}

// members lists the living processes of the group, and whatever descends from one of them: a program may give what it forks
// a session of its own (sshd).
func (p *Process) members() ([]int, error) {
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return nil, err
	}
	var pids []int
	children := make(map[int][]int)
	for _, name := range stats {
		text, err := os.ReadFile(name)
		if err != nil {
			continue // ended since
		}
		state, parent, group := parseStat(text)
		if state == 'Z' {
			continue
		}
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(name)))
		if err != nil {
			return nil, err
		}
		if group == p.cmd.Process.Pid {
			pids = append(pids, pid)
		} else {
			children[parent] = append(children[parent], pid)
		}
	}
	for k := 0; k < len(pids); k++ {
		pids = append(pids, children[pids[k]]...)
	}
	return pids, nil
}

// parseStat reads state, parent and process group from the text of proc_pid_stat(5). The command's name before them may
// hold spaces and parentheses.
func parseStat(text []byte) (state byte, parent, group int) {
	fields := bytes.Fields(text[bytes.LastIndexByte(text, ')')+1:])
	if len(fields) < 3 {
		return 0, 0, 0
	}
	parent, errParent := strconv.Atoi(string(fields[1]))
	group, errGroup := strconv.Atoi(string(fields[2]))
	if errParent != nil || errGroup != nil {
		return 0, 0, 0
	}
	return fields[0][0], parent, group
}

// resident reads the second field of proc_pid_statm(5), in bytes.
func resident(pid int) int64 {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
	if err != nil {
		return 0
	}
	fields := bytes.Fields(text)
	if len(fields) < 2 {
		return 0
	}
	pages, err := strconv.ParseInt(string(fields[1]), 10, 64)
	if err != nil {
		return 0
	}
	return pages * int64(os.Getpagesize())
}

func descriptors(pid int) int {
	d, err := os.Open(fmt.Sprintf("/proc/%d/fd", pid))
	if err != nil {
		return 0
	}
	defer d.Close()
	names, err := d.Readdirnames(-1)
	if err != nil {
		return 0
	}
	return len(names)
}
