package proxyproto

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/pires/go-proxyproto"
)

// MaxHeader is the length in bytes of the longest header that Accept takes. Version 1 allows 107 (section 2.1); version 2
// could have 65,551, nearly all of it TLVs: the largest of those in use is a client certificate of 1 to 2 KiB.
const MaxHeader = 4 << 10

const (
	shortest  = 15  // "PROXY UNKNOWN\r\n": no header of either version has less
	longestV1 = 107 // section 2.1
	fixedV2   = 16  // section 2.2: signature, version and command, family, length of the rest
)

var (
	signatureV1 = []byte("PROXY ")
	signatureV2 = []byte("\r\n\r\n\x00\r\nQUIT\n")
	crlf        = []byte("\r\n")
)

// The reasons to refuse a connection other than its end or its silence.
var (
	ErrNoHeader  = errors.New("the connection does not begin with a PROXY protocol header")
	ErrMalformed = errors.New("malformed PROXY protocol header")
)

// Accept reads the header at the beginning of conn, and not one byte more, and returns the addresses that it announces.
// After an error the connection cannot be used: the error wraps ErrNoHeader or ErrMalformed, io.EOF when no byte came,
// io.ErrUnexpectedEOF when conn ended within the header, and os.ErrDeadlineExceeded when it was not complete within
// timeout. Accept sets conn's read deadline and clears it before it returns.
func Accept(conn net.Conn, timeout time.Duration) (Addresses, error) {
	if err := conn.SetReadDeadline(time.Now().Add(timeout)); err != nil {
		return Addresses{}, err
	}
	header, err := read(conn)
	if err != nil {
		return Addresses{}, fmt.Errorf("PROXY protocol: %w", err)
	}
	if err := conn.SetReadDeadline(time.Time{}); err != nil {
		return Addresses{}, err
	}
	return parse(header, own(conn))
}

// read reads exactly one header. No part of it is read before it is certain that the header has that many bytes: this
// costs version 1 some twenty short reads, and needs neither peeking nor a buffer that would have to be handed on.
func read(r io.Reader) ([]byte, error) {
	header, err := readStart(r)
	switch {
	case err != nil:
		return nil, err
	case bytes.HasPrefix(header, signatureV1):
		return finishV1(r, header)
	default:
		return finishV2(r, header)
	}
}

// readStart reads as much as every header has, and gives up at the first byte that belongs to none.
func readStart(r io.Reader) ([]byte, error) {
	start := make([]byte, 0, longestV1)
	for len(start) < shortest {
		n, err := r.Read(start[len(start):shortest])
		start = start[:len(start)+n]
		switch {
		case !agree(start, signatureV1) && !agree(start, signatureV2):
			return nil, ErrNoHeader
		case len(start) == shortest:
			// An error that came with the last byte belongs to what follows the header.
		case err == io.EOF && len(start) > 0:
			return nil, io.ErrUnexpectedEOF
		case err != nil:
			return nil, err
		}
	}
	return start, nil
}

// agree tells whether a and b are the same as far as the shorter of them goes.
func agree(a, b []byte) bool {
	n := min(len(a), len(b))
	return bytes.Equal(a[:n], b[:n])
}

// finishV1 reads on to the end of the line. Until the line ends in CR, at least two more bytes belong to it.
func finishV1(r io.Reader, line []byte) (_ []byte, err error) {
	for !bytes.HasSuffix(line, crlf) {
		missing := 2
		if line[len(line)-1] == '\r' {
			missing = 1
		}
		switch {
		case bytes.IndexByte(line, '\n') >= 0:
			return nil, fmt.Errorf("%w: LF within the line", ErrMalformed)
		case len(line)+missing > longestV1:
			return nil, fmt.Errorf("%w: no line end within %d bytes", ErrMalformed, longestV1)
		}
		if line, err = readMore(r, line, missing); err != nil {
			return nil, err
		}
	}
	return line, nil
}

// finishV2 reads the rest of a binary header, whose length stands at the end of its fixed part.
func finishV2(r io.Reader, header []byte) ([]byte, error) {
	header, err := readMore(r, header, fixedV2-len(header))
	if err != nil {
		return nil, err
	}
	rest := int(binary.BigEndian.Uint16(header[fixedV2-2:]))
	if fixedV2+rest > MaxHeader {
		return nil, fmt.Errorf("%w: it has %d bytes, %d are allowed", ErrMalformed, fixedV2+rest, MaxHeader)
	}
	return readMore(r, header, rest)
}

// readMore appends exactly n bytes from r.
func readMore(r io.Reader, header []byte, n int) ([]byte, error) {
	have := len(header)
	header = append(header, make([]byte, n)...)
	if _, err := io.ReadFull(r, header[have:]); err != nil {
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		return nil, err
	}
	return header, nil
}

// parse decodes a complete header. Where it announces no TCP addresses, those of the connection itself stand.
func parse(header []byte, own Addresses) (Addresses, error) {
	if unspecified(header) {
		return own, nil
	}
	h, err := proxyproto.Read(bufio.NewReader(bytes.NewReader(header)))
	if err != nil {
		return Addresses{}, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	source, local, ok := h.TCPAddrs()
	if !ok || h.Command.IsLocal() {
		return own, nil
	}
	return Addresses{Source: addrPort(source), Local: addrPort(local)}, nil
}

// unspecified recognises a relayed connection of unspecified family (version 2, PROXY, UNSPEC). Section 2.2 leaves it to
// the receiver to accept it; go-proxyproto does not, yet a proxy that itself has Unix clients sends it.
func unspecified(header []byte) bool {
	return bytes.HasPrefix(header, signatureV2) && header[12] == 0x21 && header[13] == 0x00
}
