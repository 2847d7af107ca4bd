package api

import (
	"errors"
	"net/http"

	"jackfield"
)

// A Problem is the answer to a call that was refused: problem details (RFC 9457), with two members of our own.
type Problem struct {
	Type   string         `json:"type" doc:"the kind, as a URI" example:"urn:jackfield:problem:denied"`
	Title  string         `json:"title" doc:"what the status means"`
	Status int            `json:"status" doc:"the HTTP status"`
	Detail string         `json:"detail" lines:"true" doc:"a sentence for the person who asked"`
	Kind   jackfield.Kind `json:"kind" doc:"what programs act on" enum:"unauthenticated,denied,not_found,busy,limited,unavailable,invalid,internal"`
	ID     string         `json:"id" doc:"the short id of the call: audit and log have it, too"`
}

// problemType begins the type of every problem; the kind follows.
// statusClientClosed is for the audit of a call whose client did not wait for the answer.
const statusClientClosed = 499

const problemType = "urn:jackfield:problem:"

// A statusError is a refusal that HTTP has a more exact word for than its kind.
type statusError struct {
	status  int
	refusal *jackfield.Error
}

func (e statusError) Error() string { return e.refusal.Error() }
func (e statusError) Unwrap() error { return e.refusal }

func refuseWith(status int, kind jackfield.Kind, message string) error {
	return statusError{status, jackfield.Refuse(kind, message, nil)}
}

func invalid(message string) error { return jackfield.Refuse(jackfield.Invalid, message, nil) }

func notFound(message string) error { return jackfield.Refuse(jackfield.NotFound, message, nil) }

// statusOf is the HTTP status of a refusal.
func statusOf(err error) int {
	if exact, is := errors.AsType[statusError](err); is {
		return exact.status
	}
	switch jackfield.AsError(err).Kind {
	case jackfield.Unauthenticated:
		return http.StatusUnauthorized
	case jackfield.Denied:
		return http.StatusForbidden
	case jackfield.NotFound:
		return http.StatusNotFound
	case jackfield.Busy:
		return http.StatusConflict
	case jackfield.Limited:
		return http.StatusTooManyRequests
	case jackfield.Unavailable:
		return http.StatusServiceUnavailable
	case jackfield.Invalid:
		return http.StatusBadRequest
	}
	return http.StatusInternalServerError
}
