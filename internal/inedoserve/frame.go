package inedoserve

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
)

// A header begins each frame between us and a handler.
type header struct {
	connection int32
	length     int32 // of the data that follow; or endOfConnection
	command    int32
}

const (
	headerSize      = 12
	endOfConnection = -1
)

func (h header) marshal() []byte {
	wire := make([]byte, 0, headerSize)
	for _, n := range []int32{h.connection, h.length, h.command} {
		wire = binary.LittleEndian.AppendUint32(wire, uint32(n))
	}
	return wire
}

// A frameReader reads the frames of a handler.
type frameReader struct {
	r    *bufio.Reader
	max  int   // of a frame's data
	left int64 // data of the last header that were not read
}

func newFrameReader(r io.Reader, max int) *frameReader {
	return &frameReader{r: bufio.NewReader(r), max: max}
}

// next reads a header. Data that were not asked for are skipped. io.EOF is an end between two frames.
func (f *frameReader) next() (header, error) {
	skipped, err := io.CopyN(io.Discard, f.r, f.left)
	f.left -= skipped
	if err != nil {
		return header{}, cut(err)
	}
	var wire [headerSize]byte
	if n, err := io.ReadFull(f.r, wire[:]); err != nil && n > 0 {
		return header{}, cut(err)
	} else if err != nil {
		return header{}, err
	}
	number := func(i int) int32 { return int32(binary.LittleEndian.Uint32(wire[4*i:])) }
	h := header{connection: number(0), length: number(1), command: number(2)}
	if h.length < endOfConnection || int(h.length) > f.max {
		return header{}, fmt.Errorf("a frame says %d bytes of data, %d are allowed", h.length, f.max)
	}
	f.left = int64(max(h.length, 0))
	return h, nil
}

// data reads the data of the last header. Memory grows with what comes.
func (f *frameReader) data() ([]byte, error) {
	var b bytes.Buffer
	n, err := io.CopyN(&b, f.r, f.left)
	f.left -= n
	return b.Bytes(), cut(err)
}

// cut is for an end within a frame.
func cut(err error) error {
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		return fmt.Errorf("its output ends within a frame: %w", io.ErrUnexpectedEOF)
	}
	return err
}
