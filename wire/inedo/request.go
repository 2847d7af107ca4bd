package inedo

import (
	"encoding/binary"
	"fmt"
	"io"
)

// requestSize is the length in bytes of the client's half of the handshake.
const requestSize = 24

const idSize = len(GUID{})

// versions are what a client asks for: the two numbers behind the protocol ID.
type versions struct {
	// first is the lowest protocol version that the client speaks; in V1 it is the only one.
	first int32

	// last is the highest one; in V1 it is a session ID, which has no meaning.
	last int32
}

// request is what a client with these options sends.
func (o Options) request() versions {
	if o.MaxProtocol == V1 {
		return versions{first: int32(V1)}
	}
	return versions{first: int32(o.MinProtocol), last: int32(o.MaxProtocol)}
}

func (r versions) marshal() []byte {
	id := protocolID.swap()
	wire := append(make([]byte, 0, requestSize), id[:]...)
	wire = binary.LittleEndian.AppendUint32(wire, uint32(r.first))
	return binary.LittleEndian.AppendUint32(wire, uint32(r.last))
}

// readRequest reads no more than the request, and after a wrong ID nothing.
func readRequest(r io.Reader, straightID bool) (versions, error) {
	var wire [requestSize]byte
	n, err := io.ReadAtLeast(r, wire[:], idSize)
	if err != nil {
		return versions{}, err
	}
	id := GUID(wire[:idSize])
	if id != protocolID.swap() && !(straightID && id == protocolID) {
		return versions{}, ErrProtocolID
	}
	if _, err := io.ReadFull(r, wire[n:]); err != nil {
		return versions{}, unexpected(err)
	}
	return versions{
		first: int32(binary.LittleEndian.Uint32(wire[idSize:])),
		last:  int32(binary.LittleEndian.Uint32(wire[idSize+4:])),
	}, nil
}

// ranged reports whether last is a protocol version: session IDs are taken to be below.
func (r versions) ranged() bool { return r.last >= int32(V2) }

// negotiate chooses the highest version of ours that the client speaks.
func (r versions) negotiate(c AgentConfig) (Protocol, error) {
	refused := fmt.Errorf("%w: the client asks for %d to %d", ErrVersion, r.first, r.last)
	if !r.ranged() {
		refused = fmt.Errorf("%w: the client asks for %d", ErrVersion, r.first)
	}
	exact := r.first == int32(V1) && (r.last == int32(V2) || r.last < int32(V1))
	switch {
	case c.ExactRequest && !exact, r.first < int32(V1):
		return 0, refused
	case r.ranged() && r.first <= int32(V2) && c.MaxProtocol == V2:
		return V2, nil
	case r.first == int32(V1) && c.MinProtocol == V1:
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
