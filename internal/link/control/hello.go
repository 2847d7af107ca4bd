package control

import (
	"time"

	"jackfield/wire/inedo"
)

// ServerHello is the first message of a link.
type ServerHello struct {
	Version int32 // of the messages; set by Greet
	Server  string
	Agent   string // the name that the agent has here
	Nonce   Nonce  // set by Greet

	// PlainData says that data connections have no TLS. Data is where the agent dials them, "host:port": without a host it is
	// the one of the link, and if it is empty the address of the link.
	PlainData bool
	Data      string
}

func (*ServerHello) code() int32 { return codeHello }

func (m *ServerHello) put(e *inedo.Encoder) {
	e.Int32(m.Version)
	e.Text(m.Server)
	e.Text(m.Agent)
	e.Raw(m.Nonce[:])
	e.Int32(boolean(m.PlainData))
	e.Text(m.Data)
}

func (m *ServerHello) take(d *inedo.Decoder) {
	m.Version = d.Int32()
	m.Server = d.Text()
	m.Agent = d.Text()
	copy(m.Nonce[:], d.Raw(NonceSize))
	m.PlainData = d.Int32() != 0
	m.Data = d.Text()
}

// AgentHello answers it.
type AgentHello struct {
	Version  int32 // of the messages; set by Answer
	Agent    string
	Platform string // such as "linux/arm64"
	Nonce    Nonce  // set by Answer
	Link     LinkID
	Clock    time.Time // the agent's
}

// A LinkID tells the links of an agent apart. The agent draws it.
type LinkID [16]byte

func (*AgentHello) code() int32 { return codeHello }

func (m *AgentHello) put(e *inedo.Encoder) {
	e.Int32(m.Version)
	e.Text(m.Agent)
	e.Text(m.Platform)
	e.Raw(m.Nonce[:])
	e.Raw(m.Link[:])
	e.Time(m.Clock)
}

func (m *AgentHello) take(d *inedo.Decoder) {
	m.Version = d.Int32()
	m.Agent = d.Text()
	m.Platform = d.Text()
	copy(m.Nonce[:], d.Raw(NonceSize))
	copy(m.Link[:], d.Raw(len(m.Link)))
	m.Clock = d.Time()
}

func boolean(b bool) int32 {
	if b {
		return 1
	}
	return 0
}
