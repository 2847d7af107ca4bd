//go:build linux

package main

import (
	"context"
	"fmt"
	"syscall"
	"time"

	"jackfield/bench/gate"
	"jackfield/bench/peer"
)

// quietWithin is how long programs may live on when nobody asks: their time, half a second for those that hang, and the
// second after which they are killed.
const quietWithin = 10 * time.Second

// quiet waits until no program runs but those that are started ahead.
func quiet(ctx context.Context, server *peer.Instance) error {
	ctx, cancel := context.WithTimeout(ctx, quietWithin)
	defer cancel()
	for {
		pids, err := server.Deciders()
		if err != nil || len(pids) == peer.Ahead {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%d programs run when nobody asks, and %d are started ahead", len(pids), peer.Ahead)
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// leftRunning looks which programs live when nobody asks, and stops the server and looks again.
func leftRunning(ctx context.Context, server *peer.Instance) []gateResult {
	asked := check("programs beside those started ahead, when nobody asks: 0", quiet(ctx, server))
	server.Stop()
	pids, err := server.Deciders()
	if err == nil && len(pids) > 0 {
		err = fmt.Errorf("%d are left: %v", len(pids), pids)
	}
	return []gateResult{asked, check("left running, when the server has ended: 0", err)}
}

func check(name string, err error) gateResult {
	r := gateResult{Program: judged, Result: gate.Result{Gate: name, Passed: 1, Tries: 1}}
	if err != nil {
		r.Passed, r.Failure = 0, err.Error()
	}
	return r
}

// sweep stops the server, and kills what it left.
func sweep(server *peer.Instance) {
	server.Stop()
	pids, err := server.Deciders()
	if err != nil {
		return // reported by leftRunning
	}
	for _, pid := range pids {
		_ = syscall.Kill(pid, syscall.SIGKILL) // it may have ended since
	}
}
