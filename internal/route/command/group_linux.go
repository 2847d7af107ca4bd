package command

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// How often it is looked whether a group has ended, as nothing tells; and for how long after SIGKILL.
const (
	firstLook  = time.Millisecond
	lastLook   = 50 * time.Millisecond
	afterKill  = time.Second
	signalNone = unix.Signal(0)
)

// terminateLater is terminate after one more grace, unless the process is closed before.
func (p *process) terminateLater() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.terminating == nil && !p.closed {
		p.terminating = time.AfterFunc(p.grace, p.terminate)
	}
}

// terminate sends SIGTERM to the process group, and SIGKILL when the grace is over. Only the first call does.
func (p *process) terminate() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.killing != nil || p.closed {
		return
	}
	_ = p.signal(unix.SIGTERM)
	_ = p.signal(unix.SIGCONT) // a stopped process would not get the other one
	p.killing = time.AfterFunc(p.grace, func() { _ = p.signal(unix.SIGKILL) })
}

// endGroup ends what is left of the process group when the leader has exited, and returns when nothing is. It reports
// false if something remains, which only happens to processes that cannot be killed.
func (p *process) endGroup() bool {
	if p.isGone() {
		return true
	}
	p.terminate()
	exited := time.Now()
	for pause := firstLook; !p.isGone(); pause = min(2*pause, lastLook) {
		if pause == lastLook && !p.census.hasLiving(p.pid, exited) {
			return true
		}
		if time.Since(exited) > p.grace+afterKill {
			return false
		}
		time.Sleep(pause)
	}
	return true
}

// isGone says whether the group has no members, zombies included. Orphans of the group are ours to reap where the server
// is process 1.
func (p *process) isGone() bool {
	_, _, _ = reap(-p.pid, unix.WNOHANG)
	return errors.Is(p.signal(signalNone), unix.ESRCH)
}

// censusAge is how old a census may become. It bounds what many sessions with stubborn groups cost together.
const censusAge = 200 * time.Millisecond

// A census is a look through all processes for the groups that have a member which is no zombie: some systems' process 1
// reaps orphans late. It is shared by all sessions, and safe for concurrent use.
type census struct {
	mu     sync.Mutex // guards all below
	taken  time.Time
	living map[int]bool // nil: unknown
}

// hasLiving says whether a process group whose leader exited at that time has a member left, as far as is known.
func (c *census) hasLiving(group int, exited time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if time.Since(c.taken) > censusAge {
		c.taken, c.living = time.Now(), livingGroups()
	}
	return c.living == nil || c.living[group] || c.taken.Before(exited)
}

// livingGroups returns nil if it cannot be known.
func livingGroups() map[int]bool {
	pids, err := processes()
	if err != nil {
		return nil
	}
	living := map[int]bool{}
	for _, pid := range pids {
		stat, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
		if err != nil {
			continue // it has just ended
		}
		fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:]) // state, parent, group: proc_pid_stat(5)
		if len(fields) > 2 && string(fields[0]) != "Z" {
			group, _ := strconv.Atoi(string(fields[2]))
			living[group] = true
		}
	}
	return living
}

// signal signals every process of the group. The descriptor stands for the leader even after it was waited for, so a
// group that meanwhile got the same number is safe; Linux before 6.9 knows the number only.
func (p *process) signal(sig unix.Signal) error {
	raw, err := p.pidfd.SyscallConn()
	if err != nil {
		return err
	}
	var failure error
	err = raw.Control(func(fd uintptr) {
		failure = unix.PidfdSendSignal(int(fd), sig, nil, unix.PIDFD_SIGNAL_PROCESS_GROUP)
		if failure == unix.EINVAL {
			failure = unix.Kill(-p.pid, sig)
		}
		if failure == unix.ESRCH {
			failure = unix.PidfdSendSignal(int(fd), sig, nil, 0) // a leader that left its group
		}
	})
	return errors.Join(failure, err)
}
