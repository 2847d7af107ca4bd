package mapper

import (
	"fmt"
	"slices"
	"sync"
)

// A Trace shows a conversation line by line, to a tool that explains it. Its functions may be nil; they are called one at
// a time, by several goroutines. Lines come without their line end and are as untrusted as they were when received.
type Trace struct {
	Sent     func(line string)          // before it leaves
	Received func(line, meaning string) // meaning is a sentence that is safe to print
	Ended    func()                     // before the application's standard input is ended
	Exited   func(err error)            // what Wait returned
}

// maxNotes is the number of oddities that are kept as sentences.
const maxNotes = 20

// A journal keeps what is odd in a conversation and passes all of it on to the trace.
type journal struct {
	mu    sync.Mutex // one call of the trace at a time; guards the counts
	trace Trace
	lines int // received
	odd   int // of these
	notes []string
}

func (j *journal) sent(line string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.trace.Sent != nil {
		j.trace.Sent(line)
	}
}

// received returns an error if too many lines were odd.
func (j *journal) received(line, meaning string, odd bool) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.lines++
	if odd {
		j.note(fmt.Sprintf("line %d, %s: %s", j.lines, quote(line), meaning))
	}
	if j.trace.Received != nil {
		j.trace.Received(line, meaning)
	}
	if j.odd > MaxIgnored {
		return fmt.Errorf("%w lines without a meaning: %d are allowed", ErrTooMany, MaxIgnored)
	}
	return nil
}

func (j *journal) note(sentence string) {
	if j.odd++; j.odd <= maxNotes {
		j.notes = append(j.notes, sentence)
	}
}

func (j *journal) ended() {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.trace.Ended != nil {
		j.trace.Ended()
	}
}

func (j *journal) exited(err error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.trace.Exited != nil {
		j.trace.Exited(err)
	}
}

func (j *journal) oddities() []string {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.odd <= maxNotes {
		return slices.Clone(j.notes)
	}
	return append(slices.Clone(j.notes), fmt.Sprintf("and %d more", j.odd-maxNotes))
}
