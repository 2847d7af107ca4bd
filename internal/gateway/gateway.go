// Package gateway is the pipeline: what happens to every connection, whatever protocol it came by.
//
// A listener translates bytes; the order of the checks is here and nowhere else:
//
//	visit, err := g.Admit(ctx, listener, source, local)   // step 1, before a byte is read
//	defer visit.Leave()
//	visit.Identify(identity)                              // step 2, if the protocol can
//	session, err := visit.Open(name, client)              // steps 3 to 10
//	...the listener writes its protocol's answer...
//	session.Serve()                                       // step 11
//
// A refusal is a *jackfield.Error; it was logged and recorded when the listener gets it, and the listener only has to put
// it into its protocol's words.
//
// A Gateway is one generation of the configuration and does not change. What outlives a generation (the live sessions, the
// recorder) is handed in.
package gateway

import (
	"iter"
	"log/slog"
	"time"

	"jackfield"
)

// A Gateway sends requests through the pipeline. Its fields are set before its first use and then left alone.
type Gateway struct {
	Global   Level
	Sessions *Sessions
	Recorder jackfield.Recorder
	Log      *slog.Logger
}

// A Level is what one level of the configuration (global, listener, station, service) demands of a request. Its zero value
// demands nothing.
type Level struct {
	ACL    jackfield.Policy
	Limit  jackfield.Gate
	Mapper jackfield.Policy // asked last: it may start a program
}

// A Listener is a server socket's place in the pipeline.
type Listener struct {
	Name     string
	Protocol string
	Level    Level
	Services map[jackfield.Name]*Service // those that it publishes

	// Offered are further ones, which come and go, as those that agents offer; nil: none. The map that it returns does not change.
	// What has a name of Services is not looked at.
	Offered func() map[jackfield.Name]*Service
}

// Service returns the service that the listener publishes by that name; nil if there is none.
func (l *Listener) Service(name jackfield.Name) *Service {
	if s := l.Services[name]; s != nil || l.Offered == nil {
		return s
	}
	return l.Offered()[name]
}

// Published goes through the services that the listener publishes now.
func (l *Listener) Published() iter.Seq2[jackfield.Name, *Service] {
	return func(yield func(jackfield.Name, *Service) bool) {
		for name, s := range l.Services {
			if !yield(name, s) {
				return
			}
		}
		if l.Offered == nil {
			return
		}
		for name, s := range l.Offered() {
			if l.Services[name] == nil && !yield(name, s) {
				return
			}
		}
	}
}

// A Service is a named endpoint with what it demands and how it is reached.
type Service struct {
	Name   jackfield.Name
	Levels []Level        // the station's, then its own: all must let the request in
	Lease  jackfield.Gate // nil: the station is not leased
	Route  jackfield.Route

	Answers bool // it sends the answer of the listener's protocol itself, as "dedicated" TCPMUX services do

	IdleTimeout time.Duration // 0 means never
	MaxDuration time.Duration // 0 means for ever
}
