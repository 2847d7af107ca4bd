package server

import "testing"

func TestSessionsAllowed(t *testing.T) {
	for descriptors, want := range map[uint64]int{
		0: 0, 1 << 62: 0, 20000: 9800, 1024: 312, 800: 200, 256: 64, 1: 1,
	} {
		got := sessionsAllowed(descriptors)
		if got != want {
			t.Errorf("sessionsAllowed(%d) = %d, want %d", descriptors, got, want)
		}
		if got > 1 && uint64(2*got) > descriptors {
			t.Errorf("%d sessions do not fit into %d descriptors", got, descriptors)
		}
	}
}
