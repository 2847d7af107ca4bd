package command_test

import (
	"errors"
	"io"
	"os"
	"testing"
	"time"

	"jackfield/internal/route/command"
)

// Whatever way sessions go, nothing is left of them. Goroutines are counted by TestMain.
func TestNothingIsLeft(t *testing.T) {
	launcher := newLauncher(t)
	o := func(script string) command.Options {
		return command.Options{Command: shell(script), Launcher: launcher, KillGrace: 20 * time.Millisecond}
	}
	cat := newRoute(t, o("exec cat"))
	stubborn := newRoute(t, o("trap '' TERM; echo up; while :; do sleep 1000; done"))
	parent := newRoute(t, o("sleep 1000 & echo up; echo err >&2; exit 1"))
	ways := []func(){
		func() { works(t, cat) },
		func() {
			d := take(t, cat)
			d.taken.Release()
			d.close()
		},
		func() { endCut(t, take(t, stubborn)) },
		func() { endCut(t, take(t, parent)) },
		func() { open(t, cat).Close() },
		func() {
			j := join(t, cat)
			j.client.CloseWrite()
			io.Copy(io.Discard, j.client)
			j.running.Wait()
			j.client.Close()
		},
		func() {
			j := join(t, stubborn)
			j.cancel(errors.New("shutdown"))
			j.running.Wait()
			j.client.Close()
		},
		func() {
			o := open(t, parent)
			o.expect("up\n")
			o.Wait()
		},
	}
	for _, way := range ways { // what is made once is made now
		way()
	}
	before := len(descriptorsOf(t, os.Getpid()))
	for i := range 6 * len(ways) {
		ways[i%len(ways)]()
	}
	noChildrenBut(t, launcher.PID())
	if after := len(descriptorsOf(t, os.Getpid())); after > before {
		t.Errorf("%d descriptors before, %d after", before, after)
	}
	if left, err := command.Survivors("inst-"); err != nil || len(left) > 0 {
		t.Errorf("%v are left, %v", left, err)
	}
}

func endCut(t *testing.T, d *direct) {
	t.Helper()
	d.serve()
	d.expect("up\n")
	d.cancel(errors.New("shutdown"))
	d.end()
	d.close()
}
