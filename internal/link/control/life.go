package control

import (
	"math"
	"time"

	"jackfield/wire/inedo"
)

// Times of a link.
const (
	PingInterval = 5 * time.Second
	PongTimeout  = 10 * time.Second // after a ping; then the server gives the link up
	SilenceLimit = 15 * time.Second // after which the agent gives it up
)

// Ping asks for a Pong with the same number.
type Ping struct{ Number int64 }

func (*Ping) code() int32             { return codePing }
func (m *Ping) put(e *inedo.Encoder)  { e.Int64(m.Number) }
func (m *Ping) take(d *inedo.Decoder) { m.Number = d.Int64() }

// Pong answers a Ping.
type Pong struct{ Number int64 }

func (*Pong) code() int32             { return codePong }
func (m *Pong) put(e *inedo.Encoder)  { e.Int64(m.Number) }
func (m *Pong) take(d *inedo.Decoder) { m.Number = d.Int64() }

// Drain says that the agent takes no new streams: it is about to end, or is asked to.
type Drain struct{ Reason string }

func (*Drain) code() int32             { return codeDrain }
func (m *Drain) put(e *inedo.Encoder)  { e.Text(m.Reason) }
func (m *Drain) take(d *inedo.Decoder) { m.Reason = d.Text() }

// Reload asks the agent to read its configuration again.
type Reload struct{}

func (*Reload) code() int32         { return codeReload }
func (*Reload) put(*inedo.Encoder)  {}
func (*Reload) take(*inedo.Decoder) {}

// Reloaded answers it.
type Reloaded struct{ Problem string } // empty: the new one is at work

func (*Reloaded) code() int32             { return codeReload }
func (m *Reloaded) put(e *inedo.Encoder)  { e.Text(m.Problem) }
func (m *Reloaded) take(d *inedo.Decoder) { m.Problem = d.Text() }

// StatusQuery asks how the agent fares.
type StatusQuery struct{}

func (*StatusQuery) code() int32         { return codeStatus }
func (*StatusQuery) put(*inedo.Encoder)  {}
func (*StatusQuery) take(*inedo.Decoder) {}

// Status answers it.
type Status struct {
	Up            time.Duration // since the agent was started, in seconds
	Streams       int64         // that are open
	Opened        int64
	ToServices    int64 // bytes
	FromServices  int64 // bytes
	MihiniTunnels int32
}

func (*Status) code() int32 { return codeStatus }

func (m *Status) put(e *inedo.Encoder) {
	e.Int64(int64(m.Up / time.Second))
	e.Int64(m.Streams)
	e.Int64(m.Opened)
	e.Int64(m.ToServices)
	e.Int64(m.FromServices)
	e.Int32(m.MihiniTunnels)
}

func (m *Status) take(d *inedo.Decoder) {
	m.Up = time.Duration(min(max(d.Int64(), 0), math.MaxInt64/int64(time.Second))) * time.Second
	m.Streams = d.Int64()
	m.Opened = d.Int64()
	m.ToServices = d.Int64()
	m.FromServices = d.Int64()
	m.MihiniTunnels = d.Int32()
}
