package config

import (
	"fmt"
	"net/netip"

	"slices"
	"time"

	"github.com/hashicorp/hcl/v2"

	"jackfield"
)

// AgentFile is the configuration of an agent itself, on its machine.
type AgentFile struct {
	Listen       *AgentListen
	Services     []*AgentService // in the order of the file
	Allow        []string        // what the server may ask for by address; whether they are good is not known here
	DrainTimeout time.Duration   // how long streams go on when it is told to stop; may be 0
	Mihini       MihiniTunnel
	Log          Log
}

// AgentService is a service that an agent offers. It has either addresses or a command.
type AgentService struct {
	Name        jackfield.Name
	Description string
	Addresses   []string // each "host:port" or "unix:/path"
	Command     *Command
	Program     Program
	Where       string
}

// MihiniTunnel is what a TCPRemoteConnect without arguments means. Each may be empty: the command must have it.
type MihiniTunnel struct {
	Server string // "host:port"
	Local  string // "host:port" or ":port"
}

// AgentListen says how an inbound agent listens. Whether the files exist is not known here.
type AgentListen struct {
	Address            string         // "host:port"; no host: all addresses
	Encryption         string         // "ssl", "aes" or "none"
	KeyFile            string         // the key that seals messages
	AESKeyFile         string         // with "aes" only
	CertificateFile    string         // with "ssl": both files, or neither for the certificate of the agent's enrolment
	CertificateKeyFile string         // likewise
	AllowedAddresses   []netip.Prefix // nil: everywhere
	MaxHandshakes      int            // at once
	HandshakeTimeout   time.Duration
}

const maxAgentServices = 128 // their names and descriptions go to the server in one message

// agentFile is the schema of the file.
var agentFile = &block{
	doc: "What stands outside of every block.",
	attributes: []attribute{
		{
			name: "allow", kind: list{of: "`\"HOST:PORT\"`"}, changes: newSessions,
			doc: "What the server may ask for by address, which services of the server's file with `agent` and `address` do: `\"127.0.0.1:22\"`, `\":22\"` (the same), `\"plc.local:502\"`, " +
				"`\"[::1]:8000-8010\"`, `\"192.168.1.0/24:80\"`. Unset: nothing.",
		},
		{
			name: "drain_timeout", kind: duration{0, 24 * time.Hour}, fallback: "10s", changes: atOnce,
			doc: "How long open streams may go on when the agent is told to stop.",
		},
	},
	blocks: []*block{agentServiceBlock, mihiniBlock, listenBlock, logBlock},
}

var agentServiceBlock = &block{
	name:  "service",
	label: "NAME",
	doc: "A service that the agent offers, by its full name: `console`, or `console.fpga-1` if it belongs to a station. Exactly one of `address` and `command` says how it is reached. " +
		"The server publishes it if it lets the agent offer that name.",
	changes: newSessions,
	attributes: slices.Concat([]attribute{
		{
			name: "description", kind: text{what: "string, up to 200 bytes", check: checkDescription},
			doc: "For people.",
		},
		{
			name: "address", kind: textOrList{of: "`\"HOST:PORT\"` or `\"unix:/PATH\"`"},
			doc: "Where the service listens. Names are resolved each time; of several addresses the first that answers is taken.",
		},
	}, plainCommandAttributes, onlyWith(commandOnly, userAttributes), slices.DeleteFunc(onlyWith(commandOnly, programAttributes), isEnvUnset)),
	blocks: []*block{resourcesBlock},
}

// isEnvUnset finds what has a meaning only where programs inherit.
func isEnvUnset(a attribute) bool { return a.name == "env_unset" }

var mihiniBlock = &block{
	name:    "mihini",
	doc:     "What TCPRemoteConnect means, the command to open a Mihini tunnel, where it leaves something out. The allow-list has the last word on the local address.",
	changes: newSessions,
	attributes: []attribute{
		{
			name: "server", kind: text{what: "`\"HOST:PORT\"`", check: CheckAddress},
			doc: "Where the tunnel goes: a listener of protocol `mihini`. Unset: the command must say it.",
		},
		{
			name: "local", kind: text{what: "`\"HOST:PORT\"` or `\":PORT\"`", check: checkDeviceDial},
			doc: "What is at the agent's end of it; without a host the agent's own `127.0.0.1`. Unset: the command must say it.",
		},
	},
}

var listenBlock = &block{
	name:    "listen",
	doc:     "Makes the agent an inbound one: the server dials it, as its block [agent](#agent-name-or-pattern) says.",
	changes: restart,
	attributes: []attribute{
		{
			name: "address", kind: text{what: "`\"HOST:PORT\"`", check: checkListen}, fallback: ":" + agentPort,
			doc: "Address and port to listen on. Without a host: all addresses. Port 0: one that is free.",
		},
		{
			name: "encryption", kind: word{"ssl", "aes", "none"}, fallback: "ssl",
			doc: "The mode of the Inedo Agent protocol. With `aes` no streams are carried, for that has neither integrity nor protection against replay; `none` leaves streams as they are, in a network that is to be trusted.",
		},
		{
			name: "key_file", kind: text{what: "path", check: checkKeyPath}, required: true,
			doc: "The agent's own key, which seals all messages between it and the server: a file of 64 hexadecimal digits (256 bits), the same on both sides.",
		},
		{
			name: "aes_key_file", kind: text{what: "path", check: checkKeyPath},
			doc: "The key of `encryption = \"aes\"`, which must have it: a file of 32 or 64 hexadecimal digits (128 or 256 bits). It is another one than that in `key_file`.",
		},
		{
			name: "certificate_file", kind: text{what: "path", check: checkPath},
			doc: "With `ssl`: the agent's certificate and its chain (PEM). `certificate_key_file` must stand beside it. Unset: the one that the agent got when it joined the server.",
		},
		{
			name: "certificate_key_file", kind: text{what: "path", check: checkPath},
			doc: "The certificate's private key (PEM).",
		},
		{
			name: "allowed_addresses", kind: list{of: "networks (CIDR) or addresses"},
			doc: "Where servers may come from; others are closed without a byte. Unset: from everywhere.",
		},
		{
			name: "max_handshakes", kind: count{1, 10_000}, fallback: "100",
			doc: "How many handshakes may go on at once. Further connections wait.",
		},
		{
			name: "handshake_timeout", kind: duration{time.Second, 5 * time.Minute}, fallback: "30s",
			doc: "How long a handshake may take.",
		},
	},
}

// LoadAgentFile reads the configuration of an agent. It is nil when there are errors.
func LoadAgentFile(path string) (*AgentFile, *Problems) {
	s, problems := loadOne(path, agentFile)
	if s == nil {
		return nil, problems
	}
	out := &AgentFile{
		Listen:       s.agentListen(),
		Services:     s.agentServices(),
		Allow:        s.checked("allow", checkWord),
		DrainTimeout: s.duration("drain_timeout"),
		Log:          s.log(),
	}
	tunnel := s.oneOrEmpty(mihiniBlock)
	out.Mihini = MihiniTunnel{Server: tunnel.text("server"), Local: tunnel.text("local")}
	problems.sort()
	if problems.HasErrors() {
		return nil, problems
	}
	return out, problems
}

func (s *section) agentServices() []*AgentService {
	var services []*AgentService
	known := map[jackfield.Name]hcl.Range{}
	for _, inner := range s.each(agentServiceBlock) {
		service := inner.agentService()
		if first, again := known[service.Name]; again && service.Name != "" {
			s.duplicate("service", inner.label.at, first)
			continue
		}
		known[service.Name] = inner.label.at
		services = append(services, service)
	}
	if len(services) > maxAgentServices {
		s.fail(s.header, "Too many services", "An agent may offer %d services.", maxAgentServices)
	}
	return services
}

func (s *section) agentService() *AgentService {
	name, err := jackfield.ParseName(s.label.text)
	if err != nil {
		s.fail(s.label.at, "Bad name", "A service is one DNS label, or two with a dot between them: %v.", err)
	}
	switch {
	case s.has("address") && s.has("command"):
		s.fail(s.attributes["command"].NameRange, "Service with several routes", `Only one of "address", "command" can be set.`)
	case s.has("address"):
		s.checkSelected(addressOnly[0])
		s.refuseResources()
	case s.has("command"):
		s.checkSelected(commandOnly[0])
	default:
		s.missing(s.header, "Service without a route", `One of "address" and "command" must say how the service is reached.`)
	}
	return &AgentService{
		Name:        name,
		Description: s.text("description"),
		Addresses:   s.addresses(),
		Command:     s.plainCommand(),
		Program:     s.program(),
		Where:       s.where(s.header),
	}
}

func (s *section) agentListen() *AgentListen {
	inner := s.one(listenBlock)
	if inner == nil {
		return nil
	}
	out := &AgentListen{
		Address:            inner.text("address"),
		Encryption:         inner.word("encryption"),
		KeyFile:            inner.path(inner.text("key_file")),
		AESKeyFile:         inner.path(inner.text("aes_key_file")),
		CertificateFile:    inner.path(inner.text("certificate_file")),
		CertificateKeyFile: inner.path(inner.text("certificate_key_file")),
		AllowedAddresses:   inner.networks("allowed_addresses"),
		MaxHandshakes:      inner.count("max_handshakes"),
		HandshakeTimeout:   inner.duration("handshake_timeout"),
	}
	inner.checkEncryption(out.Encryption)
	inner.checkPair("certificate_file", "certificate_key_file")
	return out
}

// FixedChanges names what is different in next and cannot change without a restart.
func (f *AgentFile) FixedChanges(next *AgentFile) []string {
	var changes []string
	for _, a := range []struct {
		name  string
		value func(*AgentFile) string
	}{
		{"listen", func(f *AgentFile) string {
			if f.Listen == nil {
				return ""
			}
			return fmt.Sprintf("%+v", *f.Listen)
		}},
		{"log.format", func(f *AgentFile) string { return f.Log.Format }},
	} {
		if a.value(f) != a.value(next) {
			changes = append(changes, a.name)
		}
	}
	return changes
}
