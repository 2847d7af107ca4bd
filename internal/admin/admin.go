// Package admin serves those who look after a server: metrics and health on a loopback port, the API on a Unix socket.
//
// The port ([ListenPort]) answers /metrics, /healthz (the process lives) and /readyz (it accepts clients), nothing else.
// It knows no identities, therefore it only ever listens on a loopback address and changes nothing.
//
// The socket ([ListenSocket]) is for the server's own user and root: it has mode 0600, and each connection's peer is
// asked for its user (on Linux and macOS; elsewhere the mode alone decides). What it serves is internal/api, to which
// [PeerError] says who may. [Dial] is the other end.
package admin

// SocketName is the name of the socket in data_dir.
const SocketName = "admin.sock"
