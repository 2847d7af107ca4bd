package dial

import (
	"context"
	"errors"
	"net"
	"syscall"

	"jackfield"
)

// What the person reads. The service's address is internal: it stands in the details alone.
const (
	sayCancelled  = "connecting to the service was cancelled"
	sayNoAnswer   = "service does not answer"
	sayRefused    = "service refused the connection"
	sayNoName     = "service's name does not resolve"
	sayNotReached = "service cannot be reached"
)

// refuse makes the refusal of a route that did not open. ctx is the caller's: if it was cancelled, that is the reason,
// whatever the attempts died of. If its deadline passed, the attempts have more to tell.
func refuse(ctx context.Context, failures []error) *jackfield.Error {
	details := errors.Join(failures...)
	if errors.Is(ctx.Err(), context.Canceled) {
		return jackfield.Refuse(jackfield.Unavailable, sayCancelled, errors.Join(context.Cause(ctx), details))
	}
	return jackfield.Refuse(jackfield.Unavailable, sentence(failures), details)
}

// sentence says what all failures have in common.
func sentence(failures []error) string {
	common := ""
	for _, err := range failures {
		s := describe(err)
		if common != "" && s != common {
			return sayNotReached
		}
		common = s
	}
	return common
}

func describe(err error) string {
	if _, ok := errors.AsType[*net.DNSError](err); ok {
		return sayNoName
	}
	if timeout, ok := errors.AsType[net.Error](err); ok && timeout.Timeout() {
		return sayNoAnswer
	}
	if errors.Is(err, syscall.ECONNREFUSED) {
		return sayRefused
	}
	return sayNotReached
}
