//go:build linux

// Package gate holds the tests that a forwarder must pass whatever its speed: both directions end separately, a reset stays
// a reset, and no byte changes.
package gate

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
	"time"
)

// tryWithin is how long one try may take.
const tryWithin = 3 * time.Second

// A Path leads to the backend through a forwarder.
type Path interface {
	// Dial opens a connection that has the deadline of ctx.
	Dial(ctx context.Context) (*net.TCPConn, error)

	// Service is the backend's own address, around the forwarder.
	Service() string
}

// A Gate is one property of exact forwarding, tried several times.
type Gate struct {
	Name  string
	Tries int
	Limit time.Duration // for one try

	try func(ctx context.Context, p Path) error
}

// A Result is how a forwarder did at one gate.
type Result struct {
	Gate    string `json:"gate"`
	Passed  int    `json:"passed"`
	Tries   int    `json:"tries"`
	Failure string `json:"failure,omitempty"` // the first one
}

// OK says whether every try passed.
func (r Result) OK() bool { return r.Passed == r.Tries }

// All returns the gates, with so many tries of the quick ones and so many bytes for the checksums.
func All(tries int, size uint64) []Gate {
	return []Gate{
		{"half-close, client first", tries, tryWithin, clientFinishesFirst},
		{"half-close, service first", tries, tryWithin, serviceFinishesFirst},
		{"reset, client to service", tries, tryWithin, clientResets},
		{"reset, service to client", tries, tryWithin, serviceResets},
		{fmt.Sprintf("SHA-256 of %s, client to service", mebibytes(size)), 1, time.Minute, upload(size)},
		{fmt.Sprintf("SHA-256 of %s, service to client", mebibytes(size)), 1, time.Minute, download(size)},
	}
}

func mebibytes(size uint64) string { return fmt.Sprintf("%d MiB", size>>20) }

// Run tries the gate, a few at a time.
func (g Gate) Run(ctx context.Context, p Path) Result {
	errs := make([]error, g.Tries)
	var wg sync.WaitGroup
	places := make(chan struct{}, 10)
	for k := range g.Tries {
		places <- struct{}{}
		wg.Go(func() {
			defer func() { <-places }()
			ctx, cancel := context.WithTimeout(ctx, g.Limit)
			defer cancel()
			errs[k] = g.try(ctx, p)
		})
	}
	wg.Wait()
	return g.result(errs)
}

func (g Gate) result(errs []error) Result {
	r := Result{Gate: g.Name, Tries: g.Tries}
	for _, err := range errs {
		switch {
		case err == nil:
			r.Passed++
		case r.Failure == "":
			r.Failure = err.Error()
		}
	}
	return r
}

// token names a connection to the backend; two of one run being the same is as good as impossible.
func token() uint64 { return rand.Uint64() }
