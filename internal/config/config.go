// Package config reads the configuration: one HCL file and those that it includes, decoded strictly into plain data.
//
//	loaded, problems := config.Load("/etc/jackfield/jackfield.hcl")
//	problems.WriteText(os.Stderr, colour)
//	if loaded == nil {
//		os.Exit(2)
//	}
//
// Its rules are these:
//   - Every problem is found at once, and each says in which file and line it stands. Warnings stop nothing.
//   - What Load returns is valid: names, networks and durations are parsed, references lead somewhere, conditions compile.
//   - The schema is data (schema.go). Decoding, defaults, limits and docs/configuration.md all come from it, so they agree.
//   - No problem quotes the value of an expression, only its source text: what file and env return may be a secret.
//
// A kind of block has a file of its own with its schema, its type and its decoding. The package opens no socket, resolves
// no name and starts nothing.
package config

import (
	"log/slog"
	"net/netip"
	"time"

	"jackfield"
	"jackfield/internal/access"
)

//go:generate go run ./gen ../../docs/configuration.md

// Config is a whole configuration. Where is a place in it, such as "jackfield.hcl:14" or "conf.d/lab.hcl:3".
type Config struct {
	DataDir   string // absolute, or relative to the working directory as the file's own path is
	Log       Log
	Audit     Audit
	Admin     *Admin // nil: no HTTP port
	Rules     []access.Rule
	Limits    access.Limits
	Listeners []*Listener // as are Services and Stations: in the order of the files
	Services  []*Service  // those of stations too
	Stations  []*Station
}

// Log says what is logged and how.
type Log struct {
	Level  slog.Level
	Format string // "auto", "text" or "json"
}

// Audit says where the audit goes.
type Audit struct {
	Path    string
	MaxSize int64 // bytes; 0: never rotated
	Keep    int   // rotated files
}

// Admin is the HTTP port for metrics and health.
type Admin struct {
	Listen string // "host:port" on loopback
	Where  string
}

// Listener is a server socket.
type Listener struct {
	Name     string // in lower case
	Protocol string
	Listen   string         // "host:port"; no host: all addresses
	Service  jackfield.Name // of protocol "tcp" only

	ProxyProtocolFrom []netip.Prefix // who must send a PROXY protocol header; nil: nobody

	// Of protocol "tcpmux" only.
	NameTimeout   time.Duration
	HelpListsAll  bool
	AcceptMessage string

	Rules  []access.Rule
	Limits access.Limits
	Where  string
}

// Service is a named endpoint. It has Addresses or Builtin, never both.
type Service struct {
	Name        jackfield.Name
	Station     *Station // nil without one; its rules come before the service's own, and both must allow
	Description string
	Listeners   []string // names of those that publish it

	Addresses         []string // each "host:port" or "unix:/path"
	DialTimeout       time.Duration
	SendProxyProtocol string // "v1", "v2", or empty: no header
	Builtin           string

	IdleTimeout time.Duration // 0: never
	MaxDuration time.Duration // 0: for ever

	Rules  []access.Rule
	Limits access.Limits
	Where  string
}

// Station is a set of services that is leased as one unit.
type Station struct {
	Name        string // in lower case
	Description string
	Lease       string // "none"
	Rules       []access.Rule
	Where       string
}
