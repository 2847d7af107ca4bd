package command

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// maxEnviron is how many bytes of a process's environment are read.
const maxEnviron = 256 << 10

// Survivors finds the processes whose JACKFIELD_SESSION begins with prefix, this one left out. Processes whose environment may not be read are not found; only root may read those of other users.
func Survivors(prefix string) ([]Survivor, error) {
	pids, err := processes()
	if err != nil {
		return nil, err
	}
	var found []Survivor
	for _, pid := range pids {
		session, service, is := programVariables(pid)
		if is && pid != os.Getpid() && strings.HasPrefix(session, prefix) {
			found = append(found, Survivor{PID: pid, Session: session, Service: service})
		}
	}
	return found, nil
}

// processes returns the ids of all processes.
func processes() ([]int, error) {
	proc, err := os.Open("/proc")
	if err != nil {
		return nil, err
	}
	defer proc.Close()
	names, err := proc.Readdirnames(-1)
	if err != nil {
		return nil, err
	}
	var pids []int
	for _, name := range names {
		if pid, err := strconv.Atoi(name); err == nil {
			pids = append(pids, pid)
		}
	}
	return pids, nil
}

// programVariables reads what a program was told of itself.
func programVariables(pid int) (session, service string, is bool) {
	f, err := os.Open(filepath.Join("/proc", strconv.Itoa(pid), "environ"))
	if err != nil {
		return "", "", false
	}
	defer f.Close()
	environ, err := io.ReadAll(io.LimitReader(f, maxEnviron))
	if err != nil {
		return "", "", false
	}
	for variable := range bytes.SplitSeq(environ, []byte{0}) {
		name, value, _ := strings.Cut(string(variable), "=")
		switch name {
		case sessionVariable:
			session, is = value, true
		case serviceVariable:
			service = value
		}
	}
	return session, service, is
}
