package mihini

import "time"

// Stats are the state and the counters of a link.
type Stats struct {
	Open        int // streams that hold an id, also while they end
	Quarantined int // of these: those whose CLOSE the peer did not answer in time; the server does not use their ids
	Queued      int // bytes that wait for readers

	FramesReceived, FramesSent int64
	Opened                     int64 // streams, since the link began
	Busy                       int64 // streams that could not be opened because all ids were in use
	Stalled                    int64 // streams closed with ErrStalled
	Strays                     int64 // frames for ids that were not open: a few are normal
	ProtocolErrors             int64
	Probes                     int64
}

// StreamInfo is the state of a stream that holds an id.
type StreamInfo struct {
	ID             uint8
	Target         Target
	Opened         time.Time
	State          string // "open", "closing" (one side has closed it) or "quarantined"
	Received, Sent int64  // bytes
	Queued         int    // bytes that wait for the reader
}

func (l *link) snapshot() Stats {
	l.mu.Lock()
	defer l.mu.Unlock()
	stats := l.stats
	stats.Queued = l.queued
	for i := range l.slots {
		if s := l.slots[i].stream; s != nil {
			stats.Open++
			if s.forsaken {
				stats.Quarantined++
			}
		}
	}
	return stats
}

func (l *link) list() (list []StreamInfo) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := range l.slots {
		if s := l.slots[i].stream; s != nil {
			list = append(list, StreamInfo{s.id, s.target, s.opened, s.state(), s.received, s.sent, s.in.size})
		}
	}
	return list
}

func (s *Stream) state() string {
	switch {
	case s.forsaken:
		return "quarantined"
	case s.ending || s.peerClosed:
		return "closing"
	}
	return "open"
}
