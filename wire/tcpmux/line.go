package tcpmux

import (
	"bytes"
	"io"
	"net"
)

// readLine reads a line of at most limit bytes and its line end. The rest of the stream, from the first byte after the
// line end, is read from rest. Errors: ErrTooLong; io.EOF before the first byte, io.ErrUnexpectedEOF after it; otherwise
// the connection's.
func readLine(conn net.Conn, limit int) (line []byte, rest net.Conn, err error) {
	buf := make([]byte, limit+len("\r\n"))
	for n := 0; n < len(buf); {
		window, err := narrow(conn, buf[n:])
		if err != nil {
			return nil, nil, lineError(n, err)
		}
		m, err := conn.Read(window)
		if i := bytes.IndexByte(window[:m], '\n'); i >= 0 {
			line := trimLineEnd(buf[:n+i+1])
			if len(line) > limit {
				return nil, nil, ErrTooLong
			}
			return line, withPrefix(conn, window[i+1:m]), nil
		}
		n += m
		if err != nil {
			return nil, nil, lineError(n, err)
		}
	}
	return nil, nil, ErrTooLong
}

// lineError tells a connection that ended within a line from one that ended before it.
func lineError(n int, err error) error {
	if err == io.EOF && n > 0 {
		return io.ErrUnexpectedEOF
	}
	return err
}

// trimLineEnd removes an LF, and one CR before it.
func trimLineEnd(line []byte) []byte {
	if trimmed, ended := bytes.CutSuffix(line, []byte("\n")); ended {
		return bytes.TrimSuffix(trimmed, []byte("\r"))
	}
	return line
}
