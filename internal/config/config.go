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
	"math"
	"net/netip"
	"time"

	"jackfield"
	"jackfield/internal/access"
)

//go:generate go run ./gen ../../docs/configuration.md

// Config is a whole configuration. Where is a place in it, such as "jackfield.hcl:14" or "conf.d/lab.hcl:3".
type Config struct {
	DataDir string // absolute, or relative to the working directory as the file's own path is
	Store   Store
	Log     Log
	Audit   Audit
	Admin   *Admin // nil: no HTTP port
	Rules   []access.Rule
	Limits  access.Limits
	Mapper  string // name; empty: none

	// Program is what holds for the programs of all services. Its User, Group and Groups are the server's own, too: see
	// DropsPrivileges.
	Program Program

	Watch        bool          // reload when one of the files changes
	CutOnReload  bool          // cut the sessions that the new rules forbid
	DrainTimeout time.Duration // how long sessions go on when the server is told to stop; may be 0

	Listeners []*Listener // as are those below: in the order of the files
	Services  []*Service  // those of stations too
	Stations  []*Station
	Mappers   []*Mapper
	Devices   []*Device
	Agents    []*Agent // further ones are enrolled in the store
	Users     []*User  // further ones may be in the store
	Groups    []*Group // likewise

	// Files is every file that was read, by include and by the function file too, and Dirs the directories in which the
	// patterns of include look for more; a new one there belongs to the configuration. The main file is the first. A
	// relative path is one as DataDir is.
	Files []string
	Dirs  []string

	fixedAt map[string]string // where the arguments stand that need a restart
}

// Log says what is logged and how.
type Log struct {
	Level  slog.Level
	Format string // "auto", "text" or "json"
}

// Audit says where the audit goes, and how long it stays in the store.
type Audit struct {
	Path    string
	MaxSize int64 // bytes; 0: never rotated
	Keep    int   // rotated files

	Retention     time.Duration // of records in the store; 0: for ever
	RetentionSize int64         // bytes that they may have together; 0: no limit
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
	Listen   string // "host:port"; no host: all addresses

	// Of protocol "tcp" only.
	Service       jackfield.Name
	CloseWhenDown bool // accept and close clients while the service's device is not connected; otherwise the port is closed

	ProxyProtocolFrom []netip.Prefix // who must send a PROXY protocol header; nil: nobody

	// Of protocol "tcpmux" only.
	NameTimeout   time.Duration
	HelpListsAll  bool
	AcceptMessage string

	// Of protocol "mihini" only.
	ListenTimeout time.Duration
	TLS           bool // devices are known by their client certificates, whose name is the device's

	// Of protocols "https" and "http", and of "mihini" with TLS.
	Names []string // by which the server is reached, besides localhost: DNS names in lower case and IP addresses; may be nil

	// Of protocol "https", and of "mihini" with TLS.
	CertificateFile string // both files or, empty, neither; whether they exist is not known here
	KeyFile         string
	MinTLS          string // "1.2" or "1.3"

	Agents             bool   // they may come here; of protocol "https" only
	ClientCertificates string // "off" or "optional"; of protocol "https" only
	Insecure           bool   // clients may be elsewhere than on this machine; of protocol "http" only

	// Of protocols "https" and "http".
	MaxConnections          int
	MaxConnectionsPerSource int

	Rules   []access.Rule
	Limits  access.Limits
	Mapper  string  // name; empty: none
	Program Program // what holds for the programs that it starts
	Where   string
}

// Service is a named endpoint. It has one of Addresses, Agent, Command and Builtin; with Device one address, with Agent one
// or none.
type Service struct {
	Name        jackfield.Name
	Station     *Station // nil without one; its rules come before the service's own, and both must allow
	Description string
	Listeners   []string // names of those that publish it

	Addresses         []string // each "host:port" or "unix:/path"
	Device            string   // name of the one that dials; empty: the server does. The address is then "host:port" or ":port"
	Agent             string   // name of the one that reaches it: at the address, "host:port" or ":port", or else by the service's name
	DialTimeout       time.Duration
	SendProxyProtocol string // "v1", "v2", or empty: no header
	Builtin           string

	Web bool // it speaks HTTP, and is a website for those who have a listener as their proxy

	Command *Command
	Program Program // the service's own; ProgramOf knows what it inherits

	IdleTimeout time.Duration // 0: never
	MaxDuration time.Duration // 0: for ever

	Rules  []access.Rule
	Limits access.Limits
	Mapper string // name; empty: none
	Where  string
}

// Station is a set of services that is leased as one unit.
type Station struct {
	Name        string // in lower case
	Description string
	Lease       string // "none"
	Rules       []access.Rule
	Mapper      string  // name; empty: none
	Program     Program // what holds for the programs of its services
	Where       string
}

// Command is a program that is started for each session. Whether it exists is not known here.
type Command struct {
	Path         string // absolute, or a plain name to be looked up in PATH
	Args         []string
	Arg0         string // empty: Path
	Dedicated    bool   // the program sends the "+" of TCPMUX, not the server
	StderrSocket bool   // its standard error goes to the client, not to the log
	SockEnv      bool
	Resolve      bool          // only with SockEnv
	KillGrace    time.Duration // from SIGTERM to SIGKILL; may be 0
}

// Program is what one level says of how programs run; what is not set is left to the level outside of it. A variable is
// named in at most one of Env, EnvKeep and EnvUnset.
type Program struct {
	User      string // a name or a number; empty: not set
	Group     string // likewise
	Groups    []string
	Umask     *int
	Env       map[string]string // the values are secrets
	EnvKeep   []string          // names of variables that are taken over from the server's environment
	EnvUnset  []string          // names of variables that are taken away again
	Directory string            // absolute; empty: not set
	Nice      *int
	Limits    map[string]uint64 // by their names in the block limits, such as "nofile": seconds, bytes or how many; or Unlimited
}

// Unlimited is a limit that is none, as RLIM_INFINITY is on most systems.
const Unlimited = math.MaxUint64
