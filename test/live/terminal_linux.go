package live

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// A Terminal is the one that a process has been started at, as the person before it sees it. Close it.
type Terminal struct {
	file *os.File
	over chan struct{} // closed when nothing more will be shown

	mu    sync.Mutex
	shown strings.Builder // guarded by mu
}

// StartAtTerminal starts a command whose controlling terminal is a new one, and so is its input, output and standard error, as far
// as the command has none yet; it has not all three.
func StartAtTerminal(cmd *exec.Cmd) (*Terminal, error) {
	file, its, err := openTerminal()
	if err != nil {
		return nil, err
	}
	defer its.Close()
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if cmd.Stderr == nil {
		cmd.Stderr, cmd.SysProcAttr.Ctty = its, 2
	}
	if cmd.Stdout == nil {
		cmd.Stdout, cmd.SysProcAttr.Ctty = its, 1
	}
	if cmd.Stdin == nil {
		cmd.Stdin, cmd.SysProcAttr.Ctty = its, 0
	}
	if err := cmd.Start(); err != nil {
		file.Close()
		return nil, err
	}
	t := &Terminal{file: file, over: make(chan struct{})}
	go t.watch()
	return t, nil
}

// openTerminal returns both ends of a new terminal: the person's and the process's.
func openTerminal() (person, process *os.File, err error) {
	if person, err = os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0); err != nil {
		return nil, nil, err
	}
	number, err := unix.IoctlGetInt(int(person.Fd()), unix.TIOCGPTN)
	if err == nil {
		err = unix.IoctlSetPointerInt(int(person.Fd()), unix.TIOCSPTLCK, 0)
	}
	if err == nil {
		process, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|syscall.O_NOCTTY, 0)
	}
	if err != nil {
		person.Close()
		return nil, nil, err
	}
	return person, process, nil
}

// watch keeps what is shown.
func (t *Terminal) watch() {
	defer close(t.over)
	piece := make([]byte, 1024)
	for {
		n, err := t.file.Read(piece)
		t.mu.Lock()
		t.shown.Write(piece[:n])
		t.mu.Unlock()
		if err != nil {
			return
		}
	}
}

// Close takes the terminal away, as if its window was closed.
func (t *Terminal) Close() error { return t.file.Close() }

// Text is all that was shown so far.
func (t *Terminal) Text() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.shown.String()
}

// All is Text once the terminal has no process any more, or Patience is at its end.
func (t *Terminal) All() string {
	select {
	case <-t.over:
	case <-time.After(Patience):
	}
	return t.Text()
}

// Type types a text. A line ends with "\r" or "\n", Ctrl-C is "\x03".
func (t *Terminal) Type(text string) error {
	_, err := t.file.WriteString(text)
	return err
}

// Echoes says whether the terminal shows what is typed, as one does that nobody has changed.
func (t *Terminal) Echoes() bool {
	state, err := unix.IoctlGetTermios(int(t.file.Fd()), unix.TCGETS)
	return err != nil || state.Lflag&unix.ECHO != 0
}
