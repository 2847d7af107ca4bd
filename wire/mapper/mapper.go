// Package mapper speaks version 1 of the Tectia Mapper protocol, in which a server asks an external program, the
// application, for decisions. It knows both roles, over any reader and writer.
//
// The server starts the application and talks to its standard streams in lines. The application says "version:1" first,
// then the server; the server sends requests, the application answers each with "success:" or "failure:" and exits.
//
// An application is a [Handler]:
//
//	err := mapper.Serve(ctx, os.Stdin, os.Stdout, func(ctx context.Context, r mapper.Request) mapper.Response {
//		user, _ := r.Entries.Get("user")
//		return mapper.Response{Success: user == "1000:jane"}
//	})
//
// A server has one [Conversation] with each process:
//
//	c := mapper.NewConversation(app, nil)
//	if err := c.Greet(); err != nil { ... }
//	answers := c.Ask([]mapper.Request{{ID: "1", Entries: mapper.Entries{{"user", "1000:jane"}}}})
//	if answers[0].Allowed() { ... }
//
// The source is the manual of Tectia Server: appendix "Tectia Mapper Protocol", with its section "Communication Between
// Tectia Server and the External Application", whose five steps the comments here count. Rules where it is silent:
//   - A line ends with LF; one CR before it belongs to the line end. What the stream's end cuts off is no line. A NUL,
//     and a line longer than MaxLine, fail the exchange. Every other byte is taken as it is, valid UTF-8 or not.
//   - The first ':' or '=' of a line decides: a parameter if it is ':', an entry if it is '='. Names of parameters are
//     lower case.
//   - One blank after "version:", "request:", "end-of-request:", "success:" and "failure:" is not part of what follows.
//   - A version is any decimal number from 1 on, for it is the highest that the other side understands; version 1 is
//     spoken. Anything else is an error.
//   - A server, having sent its requests, ends the application's standard input, so that one that reads to the end ends.
//   - Whatever is unclear counts as a failure: see [Conversation.Ask] and [Program.Serve].
//
// The package does not start, kill or time a process, decide anything, or log.
package mapper

import (
	"errors"
	"fmt"
	"strings"
)

// Version is the version of the protocol, the only one there is.
const Version = 1

const (
	// MaxLine is the length in bytes of the longest line, its LF included.
	MaxLine = 8 << 10

	// MaxEntries is the number of entries that a request or a response may have.
	MaxEntries = 256

	// MaxRequests is the number of requests in one exchange of the server role.
	MaxRequests = 1024

	// MaxIgnored is the number of lines without a meaning that either role overlooks in one exchange.
	MaxIgnored = 1024

	// MaxReceived is the number of bytes that the server role reads from an application until all is answered.
	MaxReceived = 16 << 20

	// MaxDrained is the number of bytes that the server role reads and drops after that, so that the application can
	// exit.
	MaxDrained = 1 << 20
)

var (
	// ErrNoVersion says that the application sent no "version:" before its output ended.
	ErrNoVersion = errors.New("no version")

	// ErrBadVersion says that what follows "version:" is not a number from 1 on.
	ErrBadVersion = errors.New("bad version")

	// ErrLineTooLong says that a line has, or would have, more than MaxLine bytes.
	ErrLineTooLong = errors.New("line too long")

	// ErrNUL says that a line holds a NUL byte: it is not text.
	ErrNUL = errors.New("NUL byte in a line")

	// ErrTooMany says that there are more lines, entries, requests or bytes than the maximum.
	ErrTooMany = errors.New("too many")

	// ErrUnanswered says that a request got no answer, or not a whole one.
	ErrUnanswered = errors.New("no answer")

	// ErrInputUnread says that the application closed its standard input, or exited, before all requests were written.
	ErrInputUnread = errors.New("the application closed its standard input before all was written")

	// ErrExit says that the application ended otherwise than with exit status 0.
	ErrExit = errors.New("the application failed")

	// ErrUnsendable says that an id, a key or a value cannot stand on a line.
	ErrUnsendable = errors.New("cannot be sent")

	// ErrBadRequest says that the server sent a request that cannot be answered, its id being unusable or in use.
	ErrBadRequest = errors.New("bad request")
)

// An Entry is a line "key=value". A received one is untrusted: it may hold any byte but LF and NUL.
type Entry struct{ Key, Value string }

// Entries are the entries of a request or a response, in their order. A key may occur more than once.
type Entries []Entry

// Get returns the value of the first entry with the key.
func (e Entries) Get(key string) (value string, ok bool) {
	for _, entry := range e {
		if entry.Key == key {
			return entry.Value, true
		}
	}
	return "", false
}

// A Request asks for one decision.
type Request struct {
	ID      string // unique among the requests that are not answered yet; chosen by the server
	Entries Entries
}

// A Response is the application's word on a request. A received one is untrusted, its text as much as its entries.
type Response struct {
	Success bool
	Text    string // for people, such as a reason; may be empty
	Entries Entries
}

// CheckID says why id cannot name a request: it is empty, begins with a blank, holds LF, CR or NUL, or is longer than a
// line. The error is ErrUnsendable.
func CheckID(id string) error {
	switch {
	case id == "":
		return fmt.Errorf("mapper: an empty id %w", ErrUnsendable)
	case id[0] == ' ':
		return fmt.Errorf("mapper: the id %s %w: it begins with a blank", quote(id), ErrUnsendable)
	}
	return checkLine("the id "+quote(id), len(endOfRequest)+len(":")+len(id), id)
}

// CheckEntry says why e cannot be sent: its key is empty or holds '=' or ':', key or value hold LF, CR or NUL (they would
// end the line, and begin a forged one), or both are longer than a line. The error is ErrUnsendable.
func CheckEntry(e Entry) error {
	switch {
	case e.Key == "":
		return fmt.Errorf("mapper: an entry without a key %w", ErrUnsendable)
	case strings.ContainsAny(e.Key, "=:"):
		return fmt.Errorf("mapper: the key %s %w: it holds '=' or ':'", quote(e.Key), ErrUnsendable)
	}
	return checkLine("the entry of key "+quote(e.Key), len(e.Key)+len("=")+len(e.Value), e.Key, e.Value)
}

// checkLine checks the parts of a line that has length bytes without its LF.
func checkLine(what string, length int, parts ...string) error {
	if length+len("\n") > MaxLine {
		return fmt.Errorf("mapper: %s %w: a line may have %d bytes", what, ErrUnsendable, MaxLine)
	}
	for _, part := range parts {
		if strings.ContainsAny(part, "\n\r\x00") {
			return fmt.Errorf("mapper: %s %w: it holds LF, CR or NUL", what, ErrUnsendable)
		}
	}
	return nil
}

// checkEntries checks what follows the first line of a request or a response.
func checkEntries(entries Entries) error {
	if len(entries) > MaxEntries {
		return fmt.Errorf("mapper: %w entries: %d are allowed", ErrTooMany, MaxEntries)
	}
	for _, entry := range entries {
		if err := CheckEntry(entry); err != nil {
			return err
		}
	}
	return nil
}
