package tcpmux

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"time"
)

// A RefusedError is a reply that begins with "-".
type RefusedError struct {
	Text string // what follows the "-", as received: it may hold any byte but LF
}

func (e *RefusedError) Error() string {
	if e.Text == "" {
		return "tcpmux: refused"
	}
	return fmt.Sprintf("tcpmux: refused: %q", e.Text)
}

// Open asks the server at the other end of conn for a service (RFC 1078, page 1) and waits for the reply until ctx ends.
// Text is what follows the "+", as received. The service's stream is read from rest and written to it; conn must not be
// read any more. Send nothing before Open has returned: most servers lose it.
//
// Errors: a [RefusedError] with the server's text; for errors.Is, ErrNoReply, ErrProtocol, ErrTooLong (a reply of more
// than MaxReply bytes), ErrName (nothing was sent), and the cause of ctx. After an error conn is good for Close only.
func Open(ctx context.Context, conn net.Conn, name string) (rest net.Conn, text string, err error) {
	if err := checkName(name); err != nil {
		return nil, "", fmt.Errorf("tcpmux: %w", err)
	}
	if Fold(name) == Help {
		return nil, "", fmt.Errorf("tcpmux: %w: %q is reserved and asks for the list", ErrName, name)
	}
	err = ask(ctx, conn, name, func() (err error) {
		rest, text, err = readReply(conn)
		return err
	})
	if err != nil {
		return nil, "", err
	}
	return rest, text, nil
}

// List asks the server at the other end of conn for the names of its services and reads them, until the server ends the
// stream or ctx ends. The names are in the server's order and case, without "help" itself; they hold no CR, LF or NUL,
// but possibly what a terminal should not see. A status line "+..." before them is skipped. An answer without a byte is
// an empty list.
//
// Errors are those of [Open]; ErrTooLong stands for a name longer than MaxName and a list beyond MaxList or MaxListed.
// xinetd refuses: it knows no help.
func List(ctx context.Context, conn net.Conn) (names []string, err error) {
	err = ask(ctx, conn, Help, func() (err error) {
		names, err = readList(conn)
		return err
	})
	if err != nil {
		return nil, err
	}
	return names, nil
}

// ask sends a name in one write and has the answer read, both until ctx ends. The answer of a server that did not wait
// for the name counts if it is a refusal.
func ask(ctx context.Context, conn net.Conn, name string, readAnswer func() error) error {
	stop := context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })
	_, sendErr := io.WriteString(conn, name+"\r\n")
	err := readAnswer()
	if !stop() {
		return fmt.Errorf("tcpmux: waiting for the reply: %w", context.Cause(ctx))
	}
	if _, refused := errors.AsType[*RefusedError](err); refused {
		return err
	}
	if sendErr != nil {
		return replyError(sendErr)
	}
	return err
}

func readReply(conn net.Conn) (rest net.Conn, text string, err error) {
	line, rest, err := readLine(conn, MaxReply)
	switch {
	case err != nil:
		return nil, "", replyError(err)
	case len(line) == 0:
		return nil, "", fmt.Errorf("tcpmux: %w: an empty line", ErrProtocol)
	case line[0] == '+':
		return rest, string(line[1:]), nil
	case line[0] == '-':
		return nil, "", &RefusedError{Text: string(line[1:])}
	}
	return nil, "", fmt.Errorf("tcpmux: %w: it begins with %q", ErrProtocol, line[:min(len(line), 16)])
}

// readList reads names to the end of the stream. The last line need not end with a line end.
func readList(r io.Reader) ([]string, error) {
	lines := bufio.NewReaderSize(r, MaxReply+len("\r\n"))
	var names []string
	size := 0
	for first := true; ; first = false {
		raw, readErr := lines.ReadSlice('\n')
		if readErr != nil && readErr != io.EOF {
			return nil, replyError(readErr)
		}
		if size += len(raw); size > MaxList {
			return nil, replyError(ErrTooLong)
		}
		line := string(trimLineEnd(raw))
		switch {
		case first && line != "" && line[0] == '-':
			return nil, &RefusedError{Text: line[1:]}
		case first && line != "" && line[0] == '+': // NetBSD: "+Available services:"
		case line == "" || Fold(line) == Help: // NetBSD lists "help" itself; tcpmuxa's first line is "HELP"
		case len(line) > MaxName || len(names) == MaxListed:
			return nil, replyError(ErrTooLong)
		case checkName(line) != nil:
			return nil, fmt.Errorf("tcpmux: %w: %q in the list", ErrProtocol, line)
		default:
			names = append(names, line)
		}
		if readErr == io.EOF {
			return names, nil
		}
	}
}

// replyError tells a connection that ended from a reply that is too long, and from a deadline of the caller's own.
func replyError(err error) error {
	switch {
	case errors.Is(err, ErrTooLong), errors.Is(err, bufio.ErrBufferFull):
		return fmt.Errorf("tcpmux: reply: %w", ErrTooLong)
	case errors.Is(err, os.ErrDeadlineExceeded):
		return fmt.Errorf("tcpmux: reply: %w", err)
	}
	return fmt.Errorf("tcpmux: %w: %w", ErrNoReply, err)
}
