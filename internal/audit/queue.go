package audit

import "bytes"

// What waits while the log cannot be written is at most this much.
const (
	maxWaiting      = 1000    // lines
	maxWaitingBytes = 1 << 20 // in all
)

// A queue holds the lines that could not be written, and counts those that found no place.
type queue struct {
	lines [][]byte
	bytes int
	lost  int
}

// add copies the line into the queue, or counts it as lost. Refusals may fill half of it: while the log cannot be written
// every new request is refused, and that flood must not crowd out the closes of real sessions.
func (q *queue) add(line []byte, refusal bool) {
	lines, size := maxWaiting, maxWaitingBytes
	if refusal {
		lines, size = lines/2, size/2
	}
	if len(q.lines) >= lines || q.bytes+len(line) > size {
		q.lost++
		return
	}
	q.lines = append(q.lines, bytes.Clone(line))
	q.bytes += len(line)
}

// pop removes the oldest line.
func (q *queue) pop() {
	q.bytes -= len(q.lines[0])
	q.lines[0] = nil
	q.lines = q.lines[1:]
	if len(q.lines) == 0 {
		q.lines = nil
	}
}

// count is the number of records that are not in the file.
func (q *queue) count() int { return len(q.lines) + q.lost }
