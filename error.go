package jackfield

import (
	"errors"
	"fmt"
)

// Kind is the part of a refusal that programs act on; each listener translates it into its protocol's own word.
type Kind string

// The kinds of refusal.
const (
	Unauthenticated Kind = "unauthenticated" // an identity is needed first; the same for every name
	Denied          Kind = "denied"          // a rule or program said no
	NotFound        Kind = "not_found"       // no such service, or none that this client may see
	Busy            Kind = "busy"            // somebody else holds the station
	Limited         Kind = "limited"         // a limit on sessions or rate is reached
	Unavailable     Kind = "unavailable"     // the service cannot be reached now
	Invalid         Kind = "invalid"         // the client did not keep to the protocol
	Internal        Kind = "internal"        // our own fault
)

// An Error is a refusal: a kind for programs, a sentence for the person, details for the log, and the short id of the
// request, which joins what the person reads with what was logged.
type Error struct {
	Kind    Kind
	Message string // for the person who asked; holds no secret and no internal address
	ID      string // the request's; the gateway sets it
	Alarm   bool   // somebody should look: it is logged as a warning
	By      string // who decided, such as "acl.global[2]" or "limit.listener.mux"; for the log
	Details error  // for the log, never for the client; may be nil
}

func (e *Error) Error() string {
	if e.Details == nil || e.Details.Error() == e.Message {
		return e.Message
	}
	return fmt.Sprintf("%s: %v", e.Message, e.Details)
}

// Unwrap returns the details.
func (e *Error) Unwrap() error { return e.Details }

// Refuse makes a refusal of the given kind.
func Refuse(kind Kind, message string, details error) *Error {
	return &Error{Kind: kind, Message: message, Details: details}
}

// AsError returns err as a refusal; what is none becomes Internal, with err as its details.
func AsError(err error) *Error {
	var refusal *Error
	if errors.As(err, &refusal) {
		return refusal
	}
	return Refuse(Internal, "internal error", err)
}
