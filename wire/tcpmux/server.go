package tcpmux

import (
	"bufio"
	"cmp"
	"fmt"
	"io"
	"net"
	"time"
)

// DefaultNameTimeout is the time that a client has for the whole name.
const DefaultNameTimeout = 10 * time.Second

// ReadName reads the name of the service that a client asks for (RFC 1078, page 1), as received: compare with [Fold].
// It may be empty and may hold any byte but LF. The service reads its stream, from the first byte after the line end,
// from rest; conn must not be read any more.
//
// The timeout is for the whole name, however it arrives; zero means DefaultNameTimeout. It is conn's read deadline
// meanwhile; no read deadline is set when ReadName returns.
//
// Errors, for errors.Is: ErrTooLong (more than MaxName bytes), io.EOF (the client ended the stream and had sent
// nothing), io.ErrUnexpectedEOF (it ended the stream within the name), os.ErrDeadlineExceeded; any other is the
// connection's. An answer can still be written to conn, for a client that ended its side may be listening.
func ReadName(conn net.Conn, timeout time.Duration) (name string, rest net.Conn, err error) {
	deadline := time.Now().Add(cmp.Or(timeout, DefaultNameTimeout))
	if err := conn.SetReadDeadline(deadline); err != nil {
		return "", nil, fmt.Errorf("tcpmux: service name: %w", err)
	}
	defer conn.SetReadDeadline(time.Time{})
	line, rest, err := readLine(conn, MaxName)
	if err != nil {
		return "", nil, fmt.Errorf("tcpmux: service name: %w", err)
	}
	return string(line), rest, nil
}

// WriteAccept writes "+", text and CRLF in one write: the service's stream follows. Text is for people and may be empty.
// Line breaks and tabs in it become spaces, other bytes outside printable ASCII "?"; what exceeds MaxText is cut.
func WriteAccept(w io.Writer, text string) error { return writeReply(w, '+', text) }

// WriteReject writes "-", text and CRLF in one write. The rules for text are those of [WriteAccept].
func WriteReject(w io.Writer, text string) error { return writeReply(w, '-', text) }

func writeReply(w io.Writer, sign byte, text string) error {
	line := make([]byte, 1, 1+min(len(text), MaxText)+len("\r\n"))
	line[0] = sign
	for _, r := range text {
		if len(line) > MaxText {
			break
		}
		line = append(line, printable(r))
	}
	_, err := w.Write(append(line, "\r\n"...))
	return err
}

func printable(r rune) byte {
	switch {
	case ' ' <= r && r <= '~':
		return byte(r)
	case r == '\t', r == '\r', r == '\n':
		return ' '
	}
	return '?'
}

// WriteHelp answers the name "help": every name and CRLF, in the order given, as the BSD servers do. There is no status
// line, and "help" itself is left out. Afterwards the server closes the connection. The error is ErrName if a name
// cannot stand on a line.
func WriteHelp(w io.Writer, names []string) error {
	list := bufio.NewWriter(w)
	for _, name := range names {
		if Fold(name) == Help {
			continue
		}
		if err := checkName(name); err != nil {
			return fmt.Errorf("tcpmux: list of services: %w", err)
		}
		list.WriteString(name)
		list.WriteString("\r\n")
	}
	return list.Flush()
}
