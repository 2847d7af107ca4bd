package command

import (
	"syscall"
	"testing"
	"time"
)

// What was seen before a group's leader exited says nothing of the group.
func TestCensus(t *testing.T) {
	const nobodys = 1 << 30 // more than a process id can be
	var c census
	begun := time.Now()
	if own := syscall.Getpgrp(); !c.hasLiving(own, begun) {
		t.Errorf("the test's own group %d is not seen", own)
	}
	if c.hasLiving(nobodys, begun) {
		t.Error("an empty group lives")
	}
	c.taken = time.Now()
	if !c.hasLiving(nobodys, c.taken.Add(time.Hour)) {
		t.Error("a census from before the exit was believed")
	}
	old := c.taken.Add(-2 * censusAge)
	c.taken = old
	if c.hasLiving(nobodys, begun) || c.taken.Equal(old) {
		t.Error("an old census was not taken anew")
	}
}
