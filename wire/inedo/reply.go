package inedo

import (
	"encoding/binary"
	"fmt"
	"io"
)

const (
	ivSize     = 16
	narrowSize = 4  // of the agent's version
	wideSize   = 16 // likewise
)

// A Reply is the agent's half of the handshake.
type Reply struct {
	Mode    Mode
	IV      [ivSize]byte // of the first message in either direction; ModeAES only
	Slot    int32        // the protocol version; a session ID if the protocol is V1
	Version Version
	Width   Width // wide or narrow
}

// replySize is the length of a reply without the agent's version.
func replySize(m Mode) int {
	if m == ModeAES {
		return 1 + ivSize + 4
	}
	return 1 + 4
}

func (r Reply) marshal() []byte {
	wire := append(make([]byte, 0, replySize(ModeAES)+wideSize), byte(r.Mode))
	if r.Mode == ModeAES {
		wire = append(wire, r.IV[:]...)
	}
	numbers := []int32{r.Slot, r.Version.Major, r.Version.Minor, r.Version.Build, r.Version.Revision}
	if r.Width == WidthNarrow {
		numbers = numbers[:2]
	}
	for _, n := range numbers {
		wire = binary.LittleEndian.AppendUint32(wire, uint32(n))
	}
	return wire
}

// readReply reads a reply and nothing beyond it. With WidthAuto, if the narrow form has come alone, readSoon reads what
// comes within the grace, if anything. That is safe, for the agent then waits for the client.
func readReply(r io.Reader, width Width, readSoon func([]byte) (int, error)) (Reply, error) {
	var wire [1 + ivSize + 4 + wideSize]byte
	if _, err := io.ReadFull(r, wire[:1]); err == io.EOF {
		return Reply{}, fmt.Errorf("%w: %w", ErrNoReply, err)
	} else if err != nil {
		return Reply{}, err
	}
	mode := Mode(wire[0])
	if !mode.valid() {
		return Reply{}, fmt.Errorf("%w: the reply requires %s", ErrProtocolID, mode)
	}
	narrow, wide := replySize(mode)+narrowSize, replySize(mode)+wideSize
	least, most := narrow, wide
	switch width {
	case WidthNarrow:
		most = narrow
	case WidthWide:
		least = wide
	}
	n, err := io.ReadAtLeast(r, wire[1:most], least-1)
	if err != nil {
		return Reply{}, unexpected(err)
	}
	if n++; n == narrow && most == wide {
		more, err := readSoon(wire[narrow:wide])
		if err != nil {
			return Reply{}, err
		}
		n += more
	}
	if n > narrow {
		if _, err := io.ReadFull(r, wire[n:wide]); err != nil {
			return Reply{}, unexpected(err)
		}
		n = wide
	}
	return parseReply(wire[:n]), nil
}

// parseReply reads a whole reply.
func parseReply(wire []byte) Reply {
	r := Reply{Mode: Mode(wire[0]), Width: WidthNarrow}
	if len(wire) == replySize(r.Mode)+wideSize {
		r.Width = WidthWide
	}
	wire = wire[1:]
	if r.Mode == ModeAES {
		wire = wire[copy(r.IV[:], wire):]
	}
	number := func(i int) int32 { return int32(binary.LittleEndian.Uint32(wire[4*i:])) }
	r.Slot = number(0)
	r.Version.Major = number(1)
	if r.Width == WidthWide {
		r.Version.Minor, r.Version.Build, r.Version.Revision = number(2), number(3), number(4)
	}
	return r
}

// firstWithV2 is the first version of the Inedo agent that speaks V2.
const firstWithV2 = 43

// protocol says which version a client speaks with an agent that answered its request so. An agent that knows V1 only may
// return the highest version asked for as a session ID; the version of its program then tells.
func (r Reply) protocol(c ClientConfig) (Protocol, error) {
	speaksV2 := r.Slot == int32(V2) && (c.AnyVersion || r.Version.Major >= firstWithV2)
	switch {
	case c.MaxProtocol == V2 && speaksV2:
		return V2, nil
	case c.MinProtocol == V1:
		return V1, nil
	}
	return 0, fmt.Errorf("%w: agent %s answers %d", ErrVersion, r.Version, r.Slot)
}
