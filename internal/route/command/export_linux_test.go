package command

import "time"

// PID is the process id of the running fork server.
func (l *Launcher) PID() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.server.pid
}

// SetTimeout changes how long each step of a start may take.
func (l *Launcher) SetTimeout(d time.Duration) { l.timeout = d }
