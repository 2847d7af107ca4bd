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

// readReply reads a reply and nothing beyond it. With WidthAuto it calls beginGrace after a narrow reply and endGrace
// after that: if r gives no byte in between, the reply was narrow. That is safe, for the agent then waits for the client.
func readReply(r io.Reader, width Width, beginGrace, endGrace func() error) (Reply, error) {
	var wire [1 + ivSize + 4 + wideSize]byte
	least := replySize(ModeNone) + narrowSize
	if _, err := io.ReadFull(r, wire[:least]); err == io.EOF {
		return Reply{}, fmt.Errorf("%w: %w", ErrNoReply, err)
	} else if err != nil {
		return Reply{}, err
	}
	reply := Reply{Mode: Mode(wire[0])}
	if !reply.Mode.valid() {
		return Reply{}, fmt.Errorf("%w: the reply requires %s", ErrProtocolID, reply.Mode)
	}
	narrow := replySize(reply.Mode) + narrowSize
	if _, err := io.ReadFull(r, wire[least:narrow]); err != nil {
		return Reply{}, unexpected(err)
	}
	rest := wire[narrow : narrow+wideSize-narrowSize]
	wide, err := readRest(r, rest, width, beginGrace, endGrace)
	if err != nil {
		return Reply{}, err
	}
	reply.parse(wire[:narrow+wideSize-narrowSize], wide)
	return reply, nil
}

// readRest reads what makes a narrow reply wide.
func readRest(r io.Reader, rest []byte, width Width, beginGrace, endGrace func() error) (wide bool, err error) {
	n := 0
	switch width {
	case WidthNarrow:
		return false, nil
	case WidthAuto:
		if err := beginGrace(); err != nil {
			return false, err
		}
		n, _ = io.ReadAtLeast(r, rest, 1)
		if err := endGrace(); err != nil {
			return false, err
		}
		if n == 0 {
			return false, nil
		}
	}
	_, err = io.ReadFull(r, rest[n:])
	return true, unexpected(err)
}

func (r *Reply) parse(wire []byte, wide bool) {
	wire = wire[1:]
	if r.Mode == ModeAES {
		wire = wire[copy(r.IV[:], wire):]
	}
	number := func(i int) int32 { return int32(binary.LittleEndian.Uint32(wire[4*i:])) }
	r.Slot = number(0)
	r.Version.Major = number(1)
	r.Width = WidthNarrow
	if wide {
		r.Version.Minor, r.Version.Build, r.Version.Revision = number(2), number(3), number(4)
		r.Width = WidthWide
	}
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
