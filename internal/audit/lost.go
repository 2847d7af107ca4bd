package audit

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
)

// EndLost is the end of a session whose server was killed, or could not write the true one. How long it lasted and what it
// carried is not known: duration and bytes of such a close are 0, and its time is when it was found.
const EndLost = "lost"

const lostDetails = "the server was killed, or could not record the true end"

// CloseLost writes a close with the end [EndLost] for a session whose open is that line. It does not wait in the queue: after
// an error nothing was written.
func (l *Log) CloseLost(open []byte) error {
	e, err := parseOpen(open)
	if err != nil {
		return fmt.Errorf("audit log: %w", err)
	}
	e.Event = eventClose
	e.ending = &ending{End: EndLost, EndDetails: lostDetails}
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.record(e); err != nil {
		return fmt.Errorf("audit log: the end of a lost session: %w", err)
	}
	return nil
}

func parseOpen(open []byte) (*line, error) {
	e := new(line)
	if err := json.Unmarshal(open, e); err != nil {
		return nil, fmt.Errorf("the record of an open is damaged: %w", err)
	}
	return e, nil
}

// Restore puts a line back that the file has lost in a crash of the machine. The sink is not told.
func (l *Log) Restore(line []byte) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.file.write(line)
}

// Unclosed returns, in order, the lines of opens of the server with that name whose close is not in the file, as far as
// [Window] reaches back. At its start a server has no sessions yet: these are the ones that CloseLost is for. Where lines
// cannot be read, closes may be missing: what was opened before counts as closed, and the log is told.
func (l *Log) Unclosed(server string) [][]byte {
	live := make(map[string]unclosed)
	number := 0
	for line, err := range l.Lines(Window) {
		if err != nil {
			l.log.Warn("audit log: sessions that were opened before a part that cannot be read are not looked at", "error", err)
			clear(live)
			continue
		}
		head, ok := ParseHead(line)
		if !ok || !head.IsOf(server) {
			continue
		}
		switch string(head.Event) {
		case eventOpen:
			number++
			live[string(head.ID)] = unclosed{number, bytes.Clone(line)}
		case eventClose:
			delete(live, string(head.ID))
		}
	}
	return l.inOrder(live)
}

// An unclosed session is the line of its open and a number that grows.
type unclosed struct {
	number int
	line   []byte
}

func (l *Log) inOrder(live map[string]unclosed) [][]byte {
	var lines [][]byte
	byNumber := func(a, b unclosed) int { return cmp.Compare(a.number, b.number) }
	for _, u := range slices.SortedFunc(maps.Values(live), byNumber) {
		if _, err := parseOpen(u.line); err != nil {
			l.log.Warn("audit log: a session stays without its close", "line", clip(string(u.line)), "error", err)
			continue
		}
		lines = append(lines, u.line)
	}
	return lines
}
