package mapper

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// The parameters.
const (
	version      = "version"
	request      = "request"
	endOfRequest = "end-of-request"
	success      = "success"
	failure      = "failure"
)

// greeting is the first line of either side.
var greeting = parameter(version, strconv.Itoa(Version))

func parameter(name, data string) string { return name + ":" + data }

func (e Entry) line() string { return e.Key + "=" + e.Value }

// split tells a parameter (separator ':') from an entry (separator '=') and from neither (separator 0).
func split(line string) (name string, separator byte, data string) {
	i := strings.IndexAny(line, ":=")
	if i < 0 {
		return line, 0, ""
	}
	return line[:i], line[i], line[i+1:]
}

// trimBlank removes the blank that may follow a parameter's colon, as in "success: Access was allowed".
func trimBlank(data string) string { return strings.TrimPrefix(data, " ") }

// checkVersion checks the data of "version:". The number is not limited: it is the highest that the peer understands.
func checkVersion(data string) error {
	number := trimBlank(data)
	if strings.Trim(number, "0") == "" || strings.Trim(number, "0123456789") != "" {
		return fmt.Errorf("%w %s: it must be a number from 1 on", ErrBadVersion, quote(number))
	}
	return nil
}

// understands says what a good version means.
func understands(data string) string {
	if number := strings.TrimLeft(trimBlank(data), "0"); number != "1" {
		return "the application understands versions up to " + number[:min(len(number), 20)] + "; version 1 is spoken"
	}
	return "the application understands version 1"
}

// A lineReader reads lines and holds at most MaxLine bytes.
type lineReader struct{ buffer *bufio.Reader }

func newLineReader(r io.Reader) lineReader { return lineReader{bufio.NewReaderSize(r, MaxLine)} }

// next returns a line without its line end. Errors: ErrLineTooLong, ErrNUL; io.EOF at the end; io.ErrUnexpectedEOF if it
// comes within a line; otherwise the reader's own.
func (l lineReader) next() (string, error) {
	line, err := l.buffer.ReadSlice('\n')
	switch {
	case errors.Is(err, bufio.ErrBufferFull), len(line) > MaxLine:
		return "", fmt.Errorf("%w: no line end within %d bytes", ErrLineTooLong, MaxLine)
	case err == io.EOF && len(line) > 0:
		return "", fmt.Errorf("the last line %s has no line end: %w", quote(string(line)), io.ErrUnexpectedEOF)
	case err != nil:
		return "", err
	case bytes.IndexByte(line, 0) >= 0:
		return "", fmt.Errorf("%w: %s", ErrNUL, quote(string(line)))
	}
	return string(bytes.TrimSuffix(line[:len(line)-1], []byte("\r"))), nil
}

// isFault tells a peer that breaks the rules from a stream that ended or broke.
func isFault(err error) bool {
	return errors.Is(err, ErrLineTooLong) || errors.Is(err, ErrNUL) || errors.Is(err, ErrTooMany)
}

// quote makes s safe for logs and errors, and short.
func quote(s string) string {
	const enough = 64
	if len(s) > enough {
		return strconv.Quote(s[:enough]) + "…"
	}
	return strconv.Quote(s)
}
