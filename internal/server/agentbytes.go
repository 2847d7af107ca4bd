package server

import (
	"strings"
	"sync"

	"jackfield"
)

// agentBytes counts the bytes of sessions through agents that have ended, by agent, since its link began. It is one of the server's
// recorders.
type agentBytes struct {
	mu    sync.Mutex
	ended map[string]jackfield.Transfer
}

// agentIn returns the agent of a route, as route/agent describes it; empty: it is another route.
func agentIn(route string) string {
	rest, ours := strings.CutPrefix(route, "agent ")
	if !ours {
		return ""
	}
	name, _, _ := strings.Cut(rest, " ")
	return name
}

// Opened implements jackfield.Recorder.
func (*agentBytes) Opened(*jackfield.Record) error { return nil }

// Closed implements jackfield.Recorder.
func (b *agentBytes) Closed(r *jackfield.Record) {
	name := agentIn(r.Route)
	if name == "" || r.Service == "" { // not a session
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.ended == nil {
		b.ended = make(map[string]jackfield.Transfer)
	}
	b.ended[name] = plus(b.ended[name], r.Transfer)
}

// Refused implements jackfield.Recorder.
func (*agentBytes) Refused(*jackfield.Record) {}

// begin counts an agent anew.
func (b *agentBytes) begin(agent string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.ended, agent)
}

// of returns what went through each agent, the sessions that run included.
func (s *Server) bytesOfAgents() map[string]jackfield.Transfer {
	all := make(map[string]jackfield.Transfer)
	s.agentBytes.mu.Lock()
	for name, t := range s.agentBytes.ended {
		all[name] = t
	}
	s.agentBytes.mu.Unlock()
	for _, live := range s.sessions.List() {
		if name := agentIn(live.Route); name != "" {
			all[name] = plus(all[name], live.Transfer)
		}
	}
	return all
}

func plus(a, b jackfield.Transfer) jackfield.Transfer {
	return jackfield.Transfer{FromClient: a.FromClient + b.FromClient, FromService: a.FromService + b.FromService}
}
