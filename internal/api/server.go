// Package api is the interface of a server for programs: /api/v1, served in the same way on HTTPS listeners and on the
// server's Unix socket.
//
//	server := api.New(api.Options{Version: version, Directory: directory, Sessions: sessions, …})
//	go server.Run(ctx)                            // tells those who follow events what changes in the directory
//	handler := server.Handler(api.Entrance{Listener: "web", Protocol: "https", Admit: admit})
//	…
//	server.Stop("the server is stopping")         // ends the streams, which http.Server.Shutdown would wait for
//
// One table (operations) says of every operation what it is called, who may do it and what it takes and answers. The handler,
// the OpenAPI document that it serves and docs/api.md are made from it.
//
// Rules:
//   - Every call is authorised: by the entrance's rules, by the scope of the caller's token, and by whether the caller is an
//     administrator or asks for what is their own. What somebody may not see reads like what does not exist.
//   - Every call is recorded; a stream of events when it begins and when it ends.
//   - Bodies are JSON of at most MaxBody bytes without unknown fields. No body is ever logged.
//   - A refusal is a Problem; its id is in the log and in the audit.
//   - Lists are in a fixed order and come in parts. Answers have entity tags; changes heed If-Match.
//   - Streams end within a second when the caller's token or user is revoked, and when the server stops, and say why.
//
// [Client] is the other end. The package knows nothing of the gateway, the configuration or the store: whoever wires a server
// adapts them to the interfaces in this file. Foreign hosts and absolute-form requests are the listener's to refuse (421).
package api

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"jackfield"
	"jackfield/internal/audit"
	"jackfield/internal/audit/journal"
	"jackfield/internal/identity"
)

// Options are what a server's API works with. Every field is needed unless it says otherwise.
type Options struct {
	Status Status
	Log    *slog.Logger
	NewID  func() string     // of short ids, such as gateway.Sessions.NewID
	Audit  func(*audit.Call) // is told of every call; must not keep what it is given
	Hub    *Hub

	Directory     Directory
	Services      Services
	Sessions      Sessions
	Devices       Devices
	Agents        Agents
	Configuration Configuration
	Journal       Journal
	Certificates  Certificates
	Backups       Backups
}

// Directory is who there is; *identity.Directory is one.
type Directory interface {
	Authenticate(secret string) (*identity.Caller, error)
	CallerOf(identity.Certificate) (*identity.Caller, error)
	Login(ctx context.Context, name, password string, source netip.Addr, n identity.NewToken) (secret string, t identity.Token, err error)
	Exchange(ctx context.Context, oneTimeSecret string, n identity.NewToken) (secret string, t identity.Token, err error)

	Users() []identity.User
	User(name string) (identity.User, error)
	AddUser(ctx context.Context, n identity.NewUser, password string) (identity.User, error)
	ChangeUser(ctx context.Context, name string, revision uint64, c identity.Change) (identity.User, error)
	SetPassword(ctx context.Context, name string, revision uint64, password string) (identity.User, error)
	RemoveUser(ctx context.Context, name string, revision uint64) error
	Groups() []identity.Group

	Tokens(user string) []identity.Token
	Token(id string) (identity.Token, error)
	AddToken(ctx context.Context, n identity.NewToken) (secret string, t identity.Token, err error)
	RemoveToken(ctx context.Context, id string) error

	Watch(ctx context.Context) <-chan identity.Event
}

// A Viewer is somebody who wants to see services.
type Viewer struct {
	Identity jackfield.Identity
	Source   netip.Addr // not valid on the Unix socket
	Admin    bool       // sees every service
}

// Services are what the server publishes.
type Services interface {
	// Services returns, in any order, the services that the viewer may use by some listener; all of them to an administrator.
	// The API counts their sessions, and hides their routes from those who are no administrators.
	Services(ctx context.Context, v Viewer) []Service

	// Lease says how a station is leased, in the configuration's words.
	Lease(station string) string
}

// Sessions are the streams that are open.
type Sessions interface {
	// List returns them in any order.
	List() []Session

	// Disconnect ends a session, with why as the cause in its audit record. It does not wait for the end. It returns false
	// if there is no such session.
	Disconnect(id, why string) bool
}

// Devices are the machines that dial in.
type Devices interface {
	// Devices returns those of the configuration, in any order.
	Devices() []Device

	// Cut ends the device's link, with why as the cause. It returns false if there is none.
	Cut(device, why string) bool
}

// Agents are the machines that run "jackfield agent".
type Agents interface {
	// Agents returns those that were enrolled and those of the configuration, in any order.
	Agents() []Agent

	// Enroll makes the token by which an agent joins. Owner and by have been looked up; a nil owner stays as it was.
	Enroll(ctx context.Context, n NewAgent, owner *identity.User, by string) (Enrolment, error)

	// Change changes an agent, and returns it. The owner has been looked up; nil: it stays as it was.
	Change(ctx context.Context, name string, change AgentChange, owner *identity.User) (Agent, error)

	// Remove forgets an agent, makes its certificate void and cuts its link.
	Remove(ctx context.Context, name string) error

	// Join signs a certificate for who has the token. A refusal Unauthenticated: the token is not good.
	Join(ctx context.Context, j AgentJoin) (AgentMembership, error)

	// Drain has an agent take no new streams, and end when those that are open have. It does not wait for the end.
	Drain(ctx context.Context, name, reason string) error

	// Reload has an agent read its configuration again. An error says what the agent finds wrong with it.
	Reload(ctx context.Context, name string) error

	// Tunnel has an agent open a Mihini tunnel, and returns when its link to the Mihini server is up.
	Tunnel(ctx context.Context, name string, t AgentTunnel) error
}

// Configuration is what the server was told to do.
type Configuration interface {
	// Why asks every check that a request would meet. An error says which part of the question has no answer.
	Why(ctx context.Context, q Question) (Explanation, error)

	// Check says what is wrong with a configuration in HCL, which is at most MaxBody bytes long; without text, with the file
	// that a reload would read. It changes nothing.
	Check(ctx context.Context, text []byte) ([]ConfigurationProblem, error)

	// Reload reads the configuration again and puts it to work. After an error, which says all that is wrong, nothing has
	// changed.
	Reload(ctx context.Context) (Reloaded, error)
}

// Journal is the audit in the store; *journal.Reader is one.
type Journal interface {
	Query(ctx context.Context, f journal.Filter, after journal.Cursor, limit int) (journal.Page, error)
	Follow(ctx context.Context, f journal.Filter, after journal.Cursor) (*journal.Follower, error)
}

// Certificates are what the server's own authority has signed.
type Certificates interface {
	// Authority tells what clients need to trust.
	Authority() Authority

	// Issue signs a request (PKCS #10 in PEM) for a subject, remembers the certificate and returns it with its PEM.
	Issue(ctx context.Context, request []byte, kind, name string, lifetime time.Duration) (IssuedCertificate, error)

	// Issued returns, in any order, the certificates that have been issued and are remembered.
	Issued(ctx context.Context) ([]Certificate, error)

	// Revoke makes a certificate void, ends what its owner does with it, and returns it. A refusal NotFound: there is no such one.
	Revoke(ctx context.Context, serial string) (Certificate, error)

	// Rotate makes a new authority; what the old one has signed stays good for a time. A refusal Busy: the last rotation is
	// not over.
	Rotate(ctx context.Context) error

	// Retire ends the time in which the authority before is accepted; without one it does nothing.
	Retire(ctx context.Context) error
}

// Backups are copies of what a server keeps and would need to go on elsewhere.
type Backups interface {
	Backup(ctx context.Context, to io.Writer) error

	// Restore replaces the state. After an error nothing has changed.
	Restore(ctx context.Context, from io.Reader) error
}

// An Entrance is a place where calls come in.
type Entrance struct {
	Listener string
	Protocol string // "https", "http" or "unix"

	// Peer is set where the caller is known by the connection itself, as on the Unix socket: whom it has no error for is an
	// administrator. nil: callers prove themselves.
	Peer func(*http.Request) error

	// Admit asks the rules of the listener, once the caller is known; its refusal has been logged. nil: there are none.
	Admit func(ctx context.Context, source, local netip.AddrPort, who jackfield.Identity) error

	// Certificate returns what the client's certificate says, which the TLS handshake has found to be in force; false
	// without one. nil: there are none.
	Certificate func(*http.Request) (identity.Certificate, bool)
}

// A Server answers calls.
type Server struct {
	Options
	table      []*operation
	document   func() []byte
	rates      rates // of sessions
	joins      *identity.Attempts
	agentRates rates
	streams    places
	queries    places // of the audit

	stopOnce sync.Once
	stopped  chan struct{} // closed by Stop
	reason   string        // of the stop; set before stopped is closed
}

// New returns a server that answers by its handlers until Stop.
func New(o Options) *Server {
	return &Server{
		Options: o, table: operations(), document: sync.OnceValue(Document), stopped: make(chan struct{}),
		joins:   identity.NewAttempts(),
		streams: places{max: maxStreams, maxEach: maxStreamsEach},
		queries: places{max: maxQueries, maxEach: maxQueriesEach},
	}
}

// Handler returns what answers the calls that come by an entrance. It answers for every path, with 404 for those that are not
// under Base.
func (s *Server) Handler(e Entrance) http.Handler { return s.handler(e) }

// Stop ends the streams of events, whose last event tells the reason, and makes health say that the server is stopping.
// Other calls are answered as before.
func (s *Server) Stop(reason string) {
	s.stopOnce.Do(func() {
		s.reason = reason
		close(s.stopped)
	})
}
