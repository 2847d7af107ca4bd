package mihini

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// A Command says what a frame is for.
type Command uint8

// The commands, who sends them, and what follows the header.
const (
	Connect Command = 1 // server to device: open a stream; the service's address
	Close   Command = 2 // both: the stream ends; nothing
	Data    Command = 3 // both: bytes of the stream; 1 to MaxPayload bytes
	Listen  Command = 4 // device to server, once, first, id 0; nothing
)

func (c Command) String() string {
	switch c {
	case Connect:
		return "CONNECT"
	case Close:
		return "CLOSE"
	case Data:
		return "DATA"
	case Listen:
		return "LISTEN"
	}
	return fmt.Sprintf("command %d", uint8(c))
}

const (
	// HeaderSize is the size in bytes of a frame's header: the payload's size (16 bits, big endian), command, stream id.
	HeaderSize = 4

	// MaxPayload is the size in bytes of the largest payload that the format can carry; all of it is accepted.
	MaxPayload = 1<<16 - 1

	// MaxSent is the size in bytes of the largest DATA frame, header included, that this package sends.
	MaxSent = 16 << 10

	// MaxAddress is the length in bytes of the longest address that CONNECT can carry.
	MaxAddress = MaxPayload - connectOverhead

	// MaxHost is the length in bytes of the longest address that this package asks for or dials. (A DNS name has 253.)
	MaxHost = 255

	// MaxStreams is the number of streams that a link can carry at a time: there are that many ids.
	MaxStreams = 256
)

const (
	connectOverhead = 2 + 2 // address length and port
	readBuffer      = 128 << 10
)

// ErrMalformed says that a payload is not what its command wants, or that what was to be sent does not fit its frame.
var ErrMalformed = errors.New("mihini: malformed")

// A Frame is one message on the link.
type Frame struct {
	Command Command
	ID      uint8 // of the stream; 0 in LISTEN
	Payload []byte
}

// AppendFrame appends f as it is sent. The error is ErrMalformed if the payload exceeds MaxPayload.
func AppendFrame(b []byte, f Frame) ([]byte, error) {
	if len(f.Payload) > MaxPayload {
		return b, fmt.Errorf("%w: a payload of %d bytes, %d are possible", ErrMalformed, len(f.Payload), MaxPayload)
	}
	b = appendHeader(b, len(f.Payload), f.Command, f.ID)
	return append(b, f.Payload...), nil
}

func appendHeader(b []byte, size int, c Command, id uint8) []byte {
	return append(binary.BigEndian.AppendUint16(b, uint16(size)), byte(c), id)
}

// A Target is the payload of CONNECT: where the device shall connect to. The device resolves the address.
type Target struct {
	Address string // a name or a literal; without a port
	Port    uint16
}

// AppendConnect appends the frame that opens stream id. The error is ErrMalformed if the address exceeds MaxAddress.
func AppendConnect(b []byte, id uint8, t Target) ([]byte, error) {
	if len(t.Address) > MaxAddress {
		return b, fmt.Errorf("%w: an address of %d bytes, %d are possible", ErrMalformed, len(t.Address), MaxAddress)
	}
	b = appendHeader(b, len(t.Address)+connectOverhead, Connect, id)
	b = binary.BigEndian.AppendUint16(b, uint16(len(t.Address)))
	b = append(b, t.Address...)
	return binary.BigEndian.AppendUint16(b, t.Port), nil
}

// ParseConnect reads the payload of CONNECT. What follows the port is ignored. The error is ErrMalformed.
func ParseConnect(payload []byte) (Target, error) {
	if len(payload) < connectOverhead {
		return Target{}, fmt.Errorf("%w CONNECT: %d bytes, at least %d are needed", ErrMalformed, len(payload), connectOverhead)
	}
	length := int(binary.BigEndian.Uint16(payload))
	rest := payload[2:]
	if length > len(rest)-2 {
		return Target{}, fmt.Errorf("%w CONNECT: an address of %d bytes in a payload of %d", ErrMalformed, length, len(payload))
	}
	return Target{Address: string(rest[:length]), Port: binary.BigEndian.Uint16(rest[length:])}, nil
}

// A Reader reads frames. Whatever a frame's command, its size says where the next one begins, so that a frame that the
// receiver does not understand disturbs nothing.
type Reader struct {
	r    *bufio.Reader
	done int // bytes of the frame last returned, still in r
}

// NewReader returns a Reader with a buffer of 128 KiB, which is all that it ever allocates.
func NewReader(r io.Reader) *Reader { return &Reader{r: bufio.NewReaderSize(r, readBuffer)} }

// Next reads a frame, of any command. Its payload is valid until the next call. The error is io.EOF if the stream ended
// between frames, io.ErrUnexpectedEOF if within one, otherwise the stream's.
func (r *Reader) Next() (Frame, error) {
	_, _ = r.r.Discard(r.done) // is in the buffer
	r.done = 0
	header, err := r.r.Peek(HeaderSize)
	if err != nil {
		return Frame{}, within(len(header), err)
	}
	size := HeaderSize + int(binary.BigEndian.Uint16(header))
	whole, err := r.r.Peek(size)
	if err != nil {
		return Frame{}, within(len(whole), err)
	}
	r.done = size
	return parse(whole), nil
}

// parse splits a whole frame.
func parse(whole []byte) Frame {
	return Frame{Command: Command(whole[2]), ID: whole[3], Payload: whole[HeaderSize:]}
}

// within tells a stream that ended n bytes into a frame from one that ended before it.
func within(n int, err error) error {
	if n > 0 && errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
