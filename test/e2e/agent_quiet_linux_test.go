package e2e

import (
	"crypto/tls"
	"testing"
	"time"

	"jackfield/internal/api"
)

// TestAgentRefusalsQuiet: who shakes hands at the port of agents again and again, and is none, does not fill the log, which has a line
// at first, and then one in ten seconds. All of them are counted, and an agent that is linked goes on.
func TestAgentRefusalsQuiet(t *testing.T) {
	t.Parallel()
	f := newFleet(t, fleetConfig)
	edge := f.agent(t, "edge", echoOffer(t, "echo"))
	s := &site{f.office}
	foreign := selfSigned(t)
	const rounds = 50
	begun := time.Now()
	for range rounds {
		for _, protocol := range []string{"jackfield-agent/1", "jackfield-data/1"} {
			s.comeInVain(t, protocol)
			s.comeInVain(t, protocol, foreign)
		}
	}
	if !eventually(func() bool { return s.refusals(t, "web", "tls") == 4*rounds }) {
		t.Errorf("%v refusals are counted, not %d", s.refusals(t, "web", "tls"), 4*rounds)
	}
	s.checkRefusals(t, begun, "tls")
	f.echoes(t, "echo")
	f.await(t, edge.name, func(a *api.Agent) bool { return a.State == api.AgentLinked })
}

// comeInVain shakes hands from a hostile address, and wants to be refused.
func (s *site) comeInVain(t *testing.T, protocol string, certificates ...tls.Certificate) {
	t.Helper()
	conn := tls.Client(s.dial(t, hostile, "web"), &tls.Config{
		RootCAs: s.roots, ServerName: "127.0.0.1", NextProtos: []string{protocol}, Certificates: certificates,
	})
	defer conn.Close()
	if n, err := conn.Read(make([]byte, 1)); err == nil { // the handshake of TLS 1.3 is over for us before the server has looked
		t.Errorf("the server sends %d bytes", n)
	}
}
