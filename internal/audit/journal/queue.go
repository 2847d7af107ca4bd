package journal

import (
	"jackfield/internal/audit"
	"jackfield/internal/store"
)

// What waits for the journal, and what is written at once, is at most this much.
const (
	maxWaiting      = 64 << 10 // lines
	maxWaitingBytes = 16 << 20

	maxBatch      = 256 // lines
	maxBatchBytes = 256 << 10
)

// noticeSize is more than a line "lost" has.
const noticeSize = 256

// A batch is a record of the journal before it is written.
type batch struct {
	data  []byte // begins with the header
	lines int
}

// A queue holds batches, and counts the lines that found no place.
type queue struct {
	header  []byte
	batches []*batch
	lines   int // in the queue and taken from it, until they are settled
	bytes   int // of these lines
	lost    int
}

// add copies the line into the queue, or counts it as lost. It returns how many lines the queue has got.
func (q *queue) add(line []byte) int {
	got := q.tellLost()
	if len(q.header)+len(line) > store.MaxValue || !q.hasRoom(len(line)) {
		q.lost++
		return got
	}
	q.push(line)
	return got + 1
}

// tellLost adds a line that says how many are missing, if some are and there is room.
func (q *queue) tellLost() int {
	if q.lost == 0 || !q.hasRoom(noticeSize) {
		return 0
	}
	q.push(audit.LostLine(q.lost))
	q.lost = 0
	return 1
}

func (q *queue) hasRoom(size int) bool {
	return q.lines < maxWaiting && q.bytes+size <= maxWaitingBytes
}

func (q *queue) push(line []byte) {
	var b *batch
	if n := len(q.batches); n > 0 {
		b = q.batches[n-1]
	}
	if b == nil || b.lines >= maxBatch || len(b.data)+len(line) > maxBatchBytes {
		b = &batch{data: append([]byte(nil), q.header...)}
		q.batches = append(q.batches, b)
	}
	b.data = append(b.data, line...)
	b.lines++
	q.lines++
	q.bytes += len(line)
}

// take removes the oldest batch, which goes on to count until it is settled; nil if there is none.
func (q *queue) take() *batch {
	if len(q.batches) == 0 {
		return nil
	}
	b := q.batches[0]
	q.batches[0] = nil
	q.batches = q.batches[1:]
	if len(q.batches) == 0 {
		q.batches = nil
	}
	return b
}

// settle forgets a batch that was taken.
func (q *queue) settle(b *batch) {
	q.lines -= b.lines
	q.bytes -= len(b.data) - len(q.header)
}
