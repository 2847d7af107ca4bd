package api

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"net/url"
	"reflect"
)

// maxEvent is the length in bytes of the longest line of a stream that a client reads.
const maxEvent = 1 << 20

// ErrEventsMissing says that a server could not tell all that has happened: whoever keeps a view of it builds it anew.
var ErrEventsMissing = errors.New("events are missing")

// A StreamEnded is how a stream that the server has ended says why.
type StreamEnded struct{ Reason string }

func (e *StreamEnded) Error() string { return "the server has ended the stream: " + e.Reason }

// A Followed is one event of a stream with its id, by which the stream can be taken up again.
type Followed[T any] struct {
	ID   string
	Data T
}

// Events follows changes from now on, or after the event with the id. An error ErrEventsMissing is followed by what comes
// after the gap; every other one is the last: a *StreamEnded, a refusal, or that of the connection.
func (c *Client) Events(ctx context.Context, lastID string) iter.Seq2[Followed[Event], error] {
	return follow[Event](ctx, c, "/events", nil, lastID)
}

// FollowRecords follows the audit, as Events does.
func (c *Client) FollowRecords(ctx context.Context, f RecordFilter, lastID string) iter.Seq2[Followed[AuditRecord], error] {
	return follow[AuditRecord](ctx, c, "/audit/follow", f.query(), lastID)
}

func follow[T any](ctx context.Context, c *Client, path string, query url.Values, lastID string) iter.Seq2[Followed[T], error] {
	return func(yield func(Followed[T], error) bool) {
		answer, err := c.ask(ctx, request{method: http.MethodGet, path: path, query: query, lastID: lastID})
		if err != nil {
			yield(Followed[T]{}, err)
			return
		}
		defer answer.Body.Close()
		events := newEventReader(answer.Body)
		for {
			event, err := events.next()
			if err != nil {
				yield(Followed[T]{}, c.explain(err))
				return
			}
			followed, err := decodeEvent[T](event)
			if !yield(followed, err) || err != nil && !errors.Is(err, ErrEventsMissing) {
				return
			}
		}
	}
}

func decodeEvent[T any](event wireEvent) (Followed[T], error) {
	followed := Followed[T]{ID: event.id}
	var end StreamEnd
	switch event.name {
	case frameReset, frameEnd:
		if err := decodeData(event.data, &end); err != nil {
			return followed, err
		}
	default:
		return followed, decodeData(event.data, &followed.Data)
	}
	if event.name == frameReset {
		return followed, fmt.Errorf("%w: %s", ErrEventsMissing, end.Reason)
	}
	return followed, &StreamEnded{end.Reason}
}

func decodeData(data []byte, event any) error {
	err := json.Unmarshal(data, event)
	if err == nil {
		err = disarm(reflect.ValueOf(event).Elem(), false)
	}
	if err != nil {
		return fmt.Errorf("an event cannot be read: %w", err)
	}
	return nil
}

// A wireEvent is an event as it comes.
type wireEvent struct {
	id, name string
	data     []byte
}

// An eventReader reads server-sent events (the HTML standard, section 9.2.6) as our servers send them.
type eventReader struct{ lines *bufio.Scanner }

func newEventReader(from io.Reader) *eventReader {
	lines := bufio.NewScanner(from)
	lines.Buffer(nil, maxEvent)
	return &eventReader{lines}
}

// next returns the next event that has data. Comments are skipped.
func (r *eventReader) next() (wireEvent, error) {
	var event wireEvent
	for r.lines.Scan() {
		field, value, _ := bytes.Cut(r.lines.Bytes(), []byte(":"))
		value = bytes.TrimPrefix(value, []byte(" "))
		switch string(field) {
		case "id":
			event.id = string(value)
		case "event":
			event.name = string(value)
		case "data":
			if len(event.data)+len(value) > maxEvent {
				return event, bufio.ErrTooLong
			}
			if event.data != nil {
				event.data = append(event.data, '\n')
			}
			event.data = append(event.data, value...)
		case "":
			switch {
			case len(r.lines.Bytes()) > 0: // a comment
			case event.data != nil:
				return event, nil
			default:
				event = wireEvent{}
			}
		}
	}
	if err := r.lines.Err(); err != nil {
		return event, err
	}
	return event, io.ErrUnexpectedEOF
}
