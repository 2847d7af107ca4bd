package jetstream

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"jackfield/internal/store"
)

// A patience is how long a store may take.
type patience struct {
	call    time.Duration // for a call, unless its context ends sooner
	attempt time.Duration // for one request of it
}

// A cluster that does not answer is not there. A disk is there: but a memory card, or a disk that others keep busy, may take seconds to
// have a write in it.
var (
	withCluster = patience{call: 4 * time.Second, attempt: 1500 * time.Millisecond}
	withDisk    = patience{call: 20 * time.Second, attempt: 5 * time.Second}
)

const retryWait = 50 * time.Millisecond

// retry makes attempts, each with a timeout, until one gives an answer, ctx ends, or the patience does. Answers are nil,
// jetstream.ErrMsgNotFound, a wrong revision and store.ErrConflict; all other errors are store.ErrUnavailable.
func (p patience) retry(caller context.Context, attempt func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(caller, p.call)
	defer cancel()
	for {
		one, done := context.WithTimeout(ctx, p.attempt)
		err := attempt(one)
		done()
		switch {
		case err == nil, errors.Is(err, jetstream.ErrMsgNotFound), isWrongRevision(err), errors.Is(err, store.ErrConflict):
			return err
		case isFinal(err) || !wait(ctx):
			return unavailable(caller, err)
		}
	}
}

// isFinal says whether trying again would change nothing.
func isFinal(err error) bool {
	var api *jetstream.APIError
	switch {
	case errors.Is(err, nats.ErrConnectionClosed), errors.Is(err, nats.ErrAuthorization), errors.Is(err, store.ErrUnavailable):
		return true
	case errors.As(err, &api):
		return api.Code < 500 && api.ErrorCode != duplicateInFlight && api.ErrorCode != jetstream.JSErrCodeStreamNotFound
	}
	return false
}

// duplicateInFlight says that an earlier attempt with the same nonce is on its way.
const duplicateInFlight jetstream.ErrorCode = 10158

func isWrongRevision(err error) bool {
	var api *jetstream.APIError
	return errors.As(err, &api) && (api.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequence ||
		api.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequenceConstant)
}

// isRefused says whether a request that failed surely had no effect.
func isRefused(err error) bool {
	var api *jetstream.APIError
	return errors.As(err, &api) || errors.Is(err, nats.ErrNoResponders) || errors.Is(err, nats.ErrReconnectBufExceeded)
}

func wait(ctx context.Context) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(retryWait):
		return true
	}
}

// unavailable is what a call returns that had no answer in time. If its caller gave it up it is the caller's error alone.
func unavailable(caller context.Context, err error) error {
	if cause := caller.Err(); errors.Is(cause, context.Canceled) {
		return cause
	}
	if errors.Is(err, store.ErrUnavailable) {
		return err
	}
	return fmt.Errorf("%w: %w", store.ErrUnavailable, err)
}

func redacted(text string) string {
	u, err := url.Parse(text)
	if err != nil {
		return "the cluster"
	}
	return u.Redacted()
}
