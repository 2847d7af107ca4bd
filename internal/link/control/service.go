package control

import "jackfield/wire/inedo"

// MaxServices is how many services an agent may offer.
const MaxServices = 256

// Register names the services that an agent offers. It replaces what was registered before.
type Register struct{ Services []Service }

// A Service is what an agent offers.
type Service struct {
	Name        string
	Description string
}

func (*Register) code() int32 { return codeRegister }

func (m *Register) put(e *inedo.Encoder) {
	e.Count(len(m.Services))
	for _, s := range m.Services {
		e.Text(s.Name)
		e.Text(s.Description)
	}
}

func (m *Register) take(d *inedo.Decoder) {
	for range d.Count(2) {
		m.Services = append(m.Services, Service{Name: d.Text(), Description: d.Text()})
	}
}

// Registered answers it, in the same order.
type Registered struct{ Services []Published }

// Published says of a service that an agent offers whether others can reach it.
type Published struct {
	Name   string
	Reason string // why not; empty: it is published
}

func (*Registered) code() int32 { return codeRegistered }

func (m *Registered) put(e *inedo.Encoder) {
	e.Count(len(m.Services))
	for _, s := range m.Services {
		e.Text(s.Name)
		e.Text(s.Reason)
	}
}

func (m *Registered) take(d *inedo.Decoder) {
	for range d.Count(2) {
		m.Services = append(m.Services, Published{Name: d.Text(), Reason: d.Text()})
	}
}
