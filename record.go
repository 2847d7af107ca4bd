package jackfield

import "time"

// A Record is what is kept of one request: who, from where, to what, by which rule, how long, how much, and why it ended.
type Record struct {
	Request

	// By names the policies that let the request in, or the one that refused it.
	By []string

	// Notes are what policies had to say of a request that they let in, each with the name of its policy before it.
	Notes []string

	// Of a refusal: the true kind (which the client may not have been told) and the details.
	Kind    Kind
	Details string

	// Of a close.
	Duration time.Duration
	Transfer Transfer
	End      End
}

// An End is why a session ended.
type End struct {
	// Cause is one of the words below, or the message of a cancellation's cause, such as "disconnected by admin".
	Cause   string
	Details string // for the log; empty if there is nothing to add
}

// The causes of a session's ordinary ends.
const (
	EndFinished     = "finished"        // both directions ended in order
	EndClientReset  = "client reset"    // the client's connection broke or was reset
	EndServiceReset = "service reset"   // the service's connection broke or was reset
	EndStalled      = "client too slow" // it held up the others who share a link
	EndIdle         = "idle timeout"
	EndLifetime     = "lifetime reached"
)

// A Recorder takes note of what happens to requests. Records are valid during the call only.
type Recorder interface {
	// Opened is called before the client is told that its session is open. An error refuses the session.
	Opened(*Record) error

	// Closed is called once for every Opened that succeeded.
	Closed(*Record)

	// Refused is called once for every request that was refused.
	Refused(*Record)
}
