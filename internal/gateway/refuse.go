package gateway

import (
	"context"
	"errors"
	"log/slog"

	"jackfield"
)

const notFound = "service not available"

// hidden is a refusal that the client must not be able to tell from a service that does not exist.
type hidden struct{ refusal *jackfield.Error }

func (h hidden) Error() string { return h.refusal.Error() }
func (h hidden) Unwrap() error { return h.refusal }

// Refuse logs and records that the visit was refused, and returns what the listener tells the client. The pipeline's own
// refusals have been here already: a listener calls it for those that are its protocol's, such as an unreadable name.
func (v *Visit) Refuse(err error) *jackfield.Error {
	refusal := jackfield.AsError(err)
	refusal.ID = v.record.ID
	v.record.Kind = refusal.Kind
	v.record.By = nil
	if refusal.By != "" {
		v.record.By = []string{refusal.By}
	}
	if refusal.Details != nil {
		v.record.Details = refusal.Details.Error()
	}
	v.gateway.logRefused(&v.record, refusal)
	v.gateway.Recorder.Refused(&v.record)
	if errors.As(err, new(hidden)) {
		return &jackfield.Error{Kind: jackfield.NotFound, Message: notFound, ID: refusal.ID}
	}
	return refusal
}

func (g *Gateway) logRefused(r *jackfield.Record, refusal *jackfield.Error) {
	attrs := []any{
		slog.String("id", r.ID),
		slog.String("kind", string(refusal.Kind)),
		slog.String("reason", refusal.Error()),
		slog.String("by", refusal.By),
		slog.String("listener", r.Listener),
		slog.String("source", r.Source.String()),
		slog.String("service", string(r.Service)),
	}
	level := slog.LevelInfo
	switch {
	case refusal.Kind == jackfield.Internal:
		level = slog.LevelError
	case refusal.Alarm:
		level = slog.LevelWarn
	}
	g.Log.Log(context.Background(), level, "request refused", attrs...)
}
