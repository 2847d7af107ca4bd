// Package jackfield holds the words that every other package of this module speaks: a request, who asks, the service it
// names, the route that reaches it, the policies that decide, and the typed refusal that ends it.
//
// It imports nothing else of the module. Technology lives below it (wire, internal/route, internal/listen), the order in
// which the pieces act is internal/gateway, and internal/server alone wires everything together.
package jackfield

import (
	"net"
	"net/netip"
	"time"
)

// A Stream is a byte stream with two directions that end separately, as TCP has them.
type Stream interface {
	net.Conn

	// CloseWrite ends our direction; the other one goes on.
	CloseWrite() error
}

// An Identity is who asks, and how that was proven.
type Identity struct {
	User   string   // empty: nobody in particular
	Groups []string // without order
	Proof  Proof
}

// Proof is how an identity was established.
type Proof string

// The ways to prove an identity.
const (
	ProofNone        Proof = "none"
	ProofKerberos    Proof = "kerberos"
	ProofToken       Proof = "token"
	ProofCertificate Proof = "certificate"
)

// A Request is what one connection asks for, as far as it is known: the pipeline fills it in from top to bottom.
type Request struct {
	ID       string         // joins the answer to the client, the log and the audit
	Time     time.Time      // when the connection was accepted
	Listener string         // name of the listener it came to
	Protocol string         // what that listener speaks
	Source   netip.AddrPort // the client; an IPv4-mapped address is IPv4 here
	Local    netip.AddrPort // the address that the client connected to
	Identity Identity
	Service  Name // zero until it was asked for

	// How the service is reached; zero until it was found.
	Route        string   // in the configuration's words, as Route.String has it
	Destinations []string // the addresses, "host:port" or "unix:/path", of which one will be dialled; nil: the route dials none
}

// A Transfer counts the bytes of a session by where they came from.
type Transfer struct {
	FromClient  int64
	FromService int64
}
