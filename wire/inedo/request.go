package inedo

import (
	"encoding/binary"
	"fmt"
	"io"
)

// RequestSize is the length in bytes of the client's half of the handshake.
const RequestSize = 24

const idSize = len(GUID{})

// A Request is the client's half of the handshake: the protocol ID, then two numbers.
type Request struct {
	// First is the lowest protocol version that the client speaks; in V1 it is the only one.
	First int32

	// Last is the highest one; in V1 it is a session ID, which has no meaning.
	Last int32
}

// request is what a client with these options sends.
func (o Options) request() Request {
	if o.MaxProtocol == V1 {
		return Request{First: int32(V1)}
	}
	return Request{First: int32(o.MinProtocol), Last: int32(o.MaxProtocol)}
}

func (r Request) marshal() []byte {
	id := protocolID.swap()
	wire := append(make([]byte, 0, RequestSize), id[:]...)
	wire = binary.LittleEndian.AppendUint32(wire, uint32(r.First))
	return binary.LittleEndian.AppendUint32(wire, uint32(r.Last))
}

// readRequest reads no more than the request, and after a wrong ID nothing.
func readRequest(r io.Reader, straightID bool) (Request, error) {
	var wire [RequestSize]byte
	n, err := io.ReadAtLeast(r, wire[:], idSize)
	if err != nil {
		return Request{}, err
	}
	id := GUID(wire[:idSize])
	if id != protocolID.swap() && !(straightID && id == protocolID) {
		return Request{}, ErrProtocolID
	}
	if _, err := io.ReadFull(r, wire[n:]); err != nil {
		return Request{}, unexpected(err)
	}
	return Request{
		First: int32(binary.LittleEndian.Uint32(wire[idSize:])),
		Last:  int32(binary.LittleEndian.Uint32(wire[idSize+4:])),
	}, nil
}

// ranged reports whether Last is a protocol version: session IDs are taken to be below.
func (r Request) ranged() bool { return r.Last >= int32(V2) }

// negotiate chooses the highest version of ours that the client speaks.
func (r Request) negotiate(c AgentConfig) (Protocol, error) {
	refused := fmt.Errorf("%w: the client asks for %d to %d", ErrVersion, r.First, r.Last)
	if !r.ranged() {
		refused = fmt.Errorf("%w: the client asks for %d", ErrVersion, r.First)
	}
	exact := r.First == int32(V1) && (r.Last == int32(V2) || r.Last < int32(V1))
	switch {
	case c.ExactRequest && !exact, r.First < int32(V1):
		return 0, refused
	case r.ranged() && r.First <= int32(V2) && c.MaxProtocol == V2:
		return V2, nil
	case r.First == int32(V1) && c.MinProtocol == V1:
		return V1, nil
	}
	return 0, refused
}

// unexpected is for an end that came where there must be more.
func unexpected(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}
