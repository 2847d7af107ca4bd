package control

import (
	"fmt"

	"jackfield/wire/inedo"
)

// A Message is one of the types of this package, by pointer. Its layout is in docs/protocols/agent.md.
type Message interface {
	code() int32
	put(*inedo.Encoder)
	take(*inedo.Decoder)
}

// The command codes, 0x4A460000 to 0x4A46FFFF.
const (
	codeHello int32 = 0x4A460001 + iota
	codeRegister
	codeRegistered
	codeOpen
	codeOpenResult
	codeClose
	codePing
	codePong
	codeDrain
	codeReload
	codeStatus
	codeAttach
	codeTunnel
	codeTunnelResult
	codeRenew
	codeReady
)

// Unknown is a message of a later version, or of nobody who should be on this connection.
type Unknown struct{ Command int32 }

func (m *Unknown) code() int32         { return m.Command }
func (m *Unknown) put(*inedo.Encoder)  {}
func (m *Unknown) take(*inedo.Decoder) {}

// newMessage returns an empty message of the type that a code has when that side sends it.
func newMessage(from sender, code int32) Message {
	if from == fromServer {
		return newOfServer(code)
	}
	return newOfAgent(code)
}

func newOfServer(code int32) Message {
	switch code {
	case codeHello:
		return new(ServerHello)
	case codeRegistered:
		return new(Registered)
	case codeOpen:
		return new(Open)
	case codeClose:
		return new(Close)
	case codePing:
		return new(Ping)
	case codeDrain:
		return new(Drain)
	case codeReload:
		return new(Reload)
	case codeStatus:
		return new(StatusQuery)
	case codeAttach:
		return new(Attach)
	case codeTunnel:
		return new(Tunnel)
	case codeRenew:
		return new(Renewed)
	}
	return &Unknown{code}
}

func newOfAgent(code int32) Message {
	switch code {
	case codeHello:
		return new(AgentHello)
	case codeRegister:
		return new(Register)
	case codeOpenResult:
		return new(OpenResult)
	case codeClose:
		return new(Close)
	case codePong:
		return new(Pong)
	case codeDrain:
		return new(Drain)
	case codeReload:
		return new(Reloaded)
	case codeStatus:
		return new(Status)
	case codeAttach:
		return new(Attach)
	case codeTunnelResult:
		return new(TunnelResult)
	case codeRenew:
		return new(Renew)
	case codeReady:
		return new(Ready)
	}
	return &Unknown{code}
}

func encode(m Message) ([]byte, error) {
	e := new(inedo.Encoder)
	m.put(e)
	data, err := e.Data()
	if err == nil && len(data) > MaxData-SealOverhead {
		err = inedo.ErrLength
	}
	if err != nil {
		return nil, fmt.Errorf("message %T cannot be sent: %w", m, err)
	}
	return data, nil
}

// decode leaves alone what a later version may have appended.
func decode(from sender, code int32, data []byte) (Message, error) {
	m := newMessage(from, code)
	d := inedo.NewDecoder(data)
	m.take(d)
	if err := d.Err(); err != nil {
		return nil, fmt.Errorf("malformed message %T: %w", m, err)
	}
	return m, nil
}
