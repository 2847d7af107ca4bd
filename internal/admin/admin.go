// Package admin serves those who look after a server: metrics and health on a loopback port, sessions on a Unix socket.
//
// The port ([ListenPort]) answers /metrics, /healthz (the process lives) and /readyz (it accepts clients), nothing else.
// It knows no identities, therefore it only ever listens on a loopback address and changes nothing.
//
// The socket ([ListenSocket]) is for the server's own user and root: it has mode 0600, and each connection's peer is
// asked for its user (on Linux and macOS; elsewhere the mode alone decides). It speaks HTTP with JSON:
//
//	GET    /v1/status          Status
//	GET    /v1/sessions        {"sessions": [Session, …]}, the oldest first
//	DELETE /v1/sessions/{id}   {"id": …}: the session was told to end; or 404
//	GET    /v1/devices         {"devices": [Device, …]}, by name
//	POST   /v1/reload          Reloaded; or 400 with every problem of the new configuration, and the old one is at work
//	POST   /v1/why             Explanation of the Question in the body; or 400, or 404 for an unknown listener
//
// A refusal is {"kind", "message", "id"}: a [jackfield.Kind], a sentence, and the id that the log has for it.
// [Client] is the other end.
//
// It knows nothing of the gateway; whoever wires a server adapts it to [Control].
package admin

import (
	"context"
	"net/netip"
	"time"
)

// SocketName is the name of the socket in data_dir.
const SocketName = "admin.sock"

// Control is what the socket can do with a server.
type Control interface {
	// List returns the sessions that are open now, in any order.
	List() []Session

	// Disconnect ends a session, with why as the cause in its audit record. It does not wait for the end. It returns
	// false if there is no such session.
	Disconnect(id, why string) bool

	// Reload reads the configuration again and puts it to work. After an error, which says all that is wrong, nothing
	// has changed.
	Reload() (Reloaded, error)

	// Devices returns the devices of the configuration, in any order.
	Devices() []Device

	// Why asks every check that a request would meet. An error says which part of the question has no answer.
	Why(ctx context.Context, q Question) (Explanation, error)
}

// Reloaded says what a reload has done.
type Reloaded struct {
	Generation int    `json:"generation"` // counts the configurations since the start, which is 1
	Cut        int    `json:"cut"`        // sessions that were cut because the new rules forbid them
	Warnings   string `json:"warnings"`   // about the new configuration, for people
}

// A Session is one stream between a client and a service.
type Session struct {
	ID               string         `json:"id"`
	Listener         string         `json:"listener"`
	Protocol         string         `json:"protocol"`
	Source           netip.AddrPort `json:"source"` // the client; "" if unknown
	User             string         `json:"user"`   // "" for nobody in particular
	Service          string         `json:"service"`
	Route            string         `json:"route"`   // in the configuration's words
	Started          time.Time      `json:"started"` // RFC 3339
	BytesFromClient  int64          `json:"bytes_from_client"`
	BytesFromService int64          `json:"bytes_from_service"`
}

// A Device is a machine that dials in and serves.
type Device struct {
	Name      string `json:"name"`
	Connected bool   `json:"connected"`

	// Of one that is connected.
	Since          *time.Time      `json:"since,omitempty"` // RFC 3339
	Listener       string          `json:"listener,omitempty"`
	Source         *netip.AddrPort `json:"source,omitempty"`
	Streams        int             `json:"streams"` // open now
	Opened         int64           `json:"opened"`  // since then
	ProtocolErrors int64           `json:"protocol_errors"`
	Stalled        int64           `json:"stalled"`
}

// Status describes a running server.
type Status struct {
	Version string    `json:"version"`
	PID     int       `json:"pid"`
	Started time.Time `json:"started"` // RFC 3339
}
