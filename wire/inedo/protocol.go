package inedo

import "fmt"

// A Protocol is a version of the protocol.
type Protocol int32

// The protocol's versions. V2 came with version 43 of the Inedo agent.
const (
	V1 Protocol = 1000
	V2 Protocol = 2000
)

// A Mode is how messages are encrypted. Its value is that in the handshake's reply, offset 0.
type Mode int8

// The modes.
const (
	ModeNone Mode = 0
	ModeSSL  Mode = 1 // TLS, over the same connection, from the handshake's reply on
	ModeAES  Mode = 2 // AES-CBC with a key that both ends know
)

// ParseMode reads a mode as the Inedo agent's configuration has it: none, ssl or aes.
func ParseMode(s string) (Mode, error) {
	for m := ModeNone; m.valid(); m++ {
		if m.String() == s {
			return m, nil
		}
	}
	return 0, fmt.Errorf("%w: mode %q is not none, ssl or aes", ErrConfig, s)
}

func (m Mode) String() string {
	switch m {
	case ModeNone:
		return "none"
	case ModeSSL:
		return "ssl"
	case ModeAES:
		return "aes"
	}
	return fmt.Sprintf("mode %d", int8(m))
}

func (m Mode) valid() bool { return ModeNone <= m && m <= ModeAES }

// An AgentType is the part of an agent that a message is for: in the header of a client's messages in V1, and in the data
// of meta messages.
type AgentType byte

// The agent types.
const (
	Meta        AgentType = 0 // the agent itself
	Otter       AgentType = 1
	BuildMaster AgentType = 2
	Hedgehog    AgentType = 3
)

func (t AgentType) String() string {
	switch t {
	case Meta:
		return "meta"
	case Otter:
		return "otter"
	case BuildMaster:
		return "buildmaster"
	case Hedgehog:
		return "hedgehog"
	}
	return fmt.Sprintf("agent type %d", byte(t))
}

// A Version is that of an agent's program.
type Version struct {
	Major, Minor, Build, Revision int32
}

// DefaultMajor is the major version that an agent states if it was not told its version. A client takes an agent below 43
// for one that speaks V1 only.
const DefaultMajor = 51

func (v Version) String() string {
	return fmt.Sprintf("%d.%d.%d.%d", v.Major, v.Minor, v.Build, v.Revision)
}

// A Width is how the agent's version stands in the handshake's reply: the document describes four components and names
// the type of one.
type Width int

// The widths.
const (
	WidthAuto   Width = iota // client: either, see ClientConfig.Grace; agent: wide
	WidthWide                // four int32, as the oldest text has it
	WidthNarrow              // one int32, as the later texts have it: the major version
)
