package control

import (
	"time"

	"jackfield"
	"jackfield/wire/inedo"
)

// Open asks for a stream, on the connection that is to carry it.
type Open struct {
	Stream  int64
	Service string // that the agent offers, or
	Address string // "host:port", which its allow-list has to have
	User    string // who asked, for the agent's log
	Source  string // the client's address, likewise
	Within  time.Duration
}

func (*Open) code() int32 { return codeOpen }

func (m *Open) put(e *inedo.Encoder) {
	e.Int64(m.Stream)
	e.Text(m.Service)
	e.Text(m.Address)
	e.Text(m.User)
	e.Text(m.Source)
	e.Int32(int32(m.Within.Milliseconds()))
}

func (m *Open) take(d *inedo.Decoder) {
	m.Stream = d.Int64()
	m.Service = d.Text()
	m.Address = d.Text()
	m.User = d.Text()
	m.Source = d.Text()
	m.Within = time.Duration(d.Int32()) * time.Millisecond
}

// OpenResult answers Open. If Kind is empty, the bytes of the stream follow.
type OpenResult struct {
	Stream   int64
	Kind     jackfield.Kind
	Sentence string // for the person who asked
}

func (*OpenResult) code() int32 { return codeOpenResult }

func (m *OpenResult) put(e *inedo.Encoder) {
	e.Int64(m.Stream)
	e.Text(string(m.Kind))
	e.Text(m.Sentence)
}

func (m *OpenResult) take(d *inedo.Decoder) {
	m.Stream = d.Int64()
	m.Kind = jackfield.Kind(d.Text())
	m.Sentence = d.Text()
}

// Ready says that the connection may carry another stream: the agent is done with the one before.
type Ready struct {
	Stream int64 // which that was
}

func (*Ready) code() int32 { return codeReady }

func (m *Ready) put(e *inedo.Encoder) { e.Int64(m.Stream) }

func (m *Ready) take(d *inedo.Decoder) { m.Stream = d.Int64() }

// Close gives up a stream for which a data connection was asked by the link.
type Close struct {
	Stream int64
	Reason string
}

func (*Close) code() int32 { return codeClose }

func (m *Close) put(e *inedo.Encoder) {
	e.Int64(m.Stream)
	e.Text(m.Reason)
}

func (m *Close) take(d *inedo.Decoder) {
	m.Stream = d.Int64()
	m.Reason = d.Text()
}

// A Ticket is good for one data connection.
type Ticket [16]byte

// Attach asks the agent for a data connection, when the server sends it on a link; it is the first message of a data
// connection, when who dialled that sends it.
type Attach struct {
	Ticket Ticket // of inbound agents: the LinkID
	Number int64  // asked for: the stream that waits for it, 0 if none does; of inbound agents: the connection's number
}

func (*Attach) code() int32 { return codeAttach }

func (m *Attach) put(e *inedo.Encoder) {
	e.Raw(m.Ticket[:])
	e.Int64(m.Number)
}

func (m *Attach) take(d *inedo.Decoder) {
	copy(m.Ticket[:], d.Raw(len(m.Ticket)))
	m.Number = d.Int64()
}
