package config

import (
	"errors"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/hcl/v2"

	"jackfield"
	"jackfield/internal/access"
)

// Agent is what the file says of an agent, or of all agents whose names match a pattern.
type Agent struct {
	Name      string   // in lower case
	Pattern   bool     // Name has a "*", which stands for any characters
	Offers    []string // patterns of services' names, in lower case, besides those of the agent's enrolment
	Listeners []string // names of those that publish what it offers

	Encryption string // of its data; of an inbound agent's link, too: "ssl", "aes" or "none"

	// Of an inbound agent only: the server dials it. Whether the files exist is not known here.
	Address     string // "host:port"; empty: the agent dials the server
	KeyFile     string // the key that seals messages
	AESKeyFile  string // with "aes" only
	CAFile      string // with "ssl", at most one of this and Fingerprint; neither: the server's own authority
	ServerName  string // with CAFile; empty: the host of Address
	Fingerprint string // SHA-256 of its certificate, 64 hexadecimal digits in lower case

	// Of the services that it offers.
	IdleTimeout time.Duration // 0: never
	MaxDuration time.Duration // 0: for ever
	Rules       []access.Rule // nil: the owner of its enrolment, and administrators
	Limits      access.Limits
	Mapper      string // name; empty: none

	Where string
}

// Inbound says whether the server dials the agent.
func (a *Agent) Inbound() bool { return a.Address != "" }

// Agent returns what the file says of the agent of this name, in lower case: the block of its name, or else the first whose
// pattern matches it. It is nil if there is none.
func (c *Config) Agent(name string) *Agent {
	for _, a := range c.Agents {
		if !a.Pattern && a.Name == name {
			return a
		}
	}
	for _, a := range c.Agents {
		if matches, _ := path.Match(a.Name, name); a.Pattern && matches { // of special characters it has "*" only
			return a
		}
	}
	return nil
}

const agentPort = "46336" // of the Inedo Agent protocol

var agentBlock = &block{
	name:  "agent",
	label: "NAME or PATTERN",
	doc: "What holds for an agent, or for all whose names match a pattern such as `\"lab-*\"`: that of its own name counts, or else the first whose pattern matches. An agent's name is a DNS label. " +
		"An *outbound* agent dials the server and is enrolled there; it needs no block. With `address` the agent is an *inbound* one: the server dials it. " +
		"Rules, limits and the mapper are those of the services that the agent offers; services of this file that say `agent = \"NAME\"` have their own. " +
		"Without rules, only the owner of the agent's enrolment and administrators may use what it offers.",
	changes: newSessions,
	attributes: slices.Concat([]attribute{
		{
			name: "offers", kind: list{of: "patterns"},
			doc: "Which services it may offer, by their full names, besides those that its enrolment says, such as `\"*.fpga-1\"`: a `*` stands for any characters but the dot, and `\"*\"` alone for every service.",
		},
		{
			name: "listeners", kind: list{of: "listener names"},
			doc: "The listeners, of protocol `tcpmux`, `https` or `http`, that publish what it offers. Unset: all of protocol `https`.",
		},
		{
			name: "encryption", kind: word{"ssl", "aes", "none"}, fallback: "ssl", changes: atOnce,
			doc: "Of an inbound agent: the mode in which it listens. With `aes` it carries no streams, for that has neither integrity nor protection against replay. " +
				"Of an outbound one: how streams' bytes come, by TLS (`ssl`) or, in a network that is to be trusted, as they are (`none`), to a listener of protocol `agent-data`; its link has TLS always.",
		},
		{
			name: "address", kind: text{what: "`\"HOST:PORT\"`", check: checkAgentAddress}, changes: atOnce,
			doc: "Where the agent listens: it is an inbound one. Without a port: 46336. Unset: the agent dials the server.",
		},
		{
			name: "key_file", kind: text{what: "path", check: checkKeyPath}, required: true, only: addressOnly, changes: atOnce,
			doc: "The agent's own key, which seals all messages between it and the server: a file of 64 hexadecimal digits (256 bits), the same on both sides.",
		},
		{
			name: "aes_key_file", kind: text{what: "path", check: checkKeyPath}, only: addressOnly, changes: atOnce,
			doc: "The key of `encryption = \"aes\"`, which must have it: a file of 32 or 64 hexadecimal digits (128 or 256 bits). It is another one than that in `key_file`.",
		},
		{
			name: "ca_file", kind: text{what: "path", check: checkPath}, only: addressOnly, changes: atOnce,
			doc: "With `ssl`: certificates (PEM) of the authorities that the agent's certificate must come from. Unset, and without `fingerprint`: " +
				"it must come from the server's own certificate authority and be for an agent of this name.",
		},
		{
			name: "server_name", kind: text{what: "DNS name or IP address", check: checkCertificateName}, only: addressOnly, changes: atOnce,
			doc: "With `ca_file`: what the agent's certificate must be for. Unset: the host of `address`.",
		},
		{
			name: "fingerprint", kind: text{what: "64 hexadecimal digits, with or without colons", check: checkFingerprint}, only: addressOnly, changes: atOnce,
			doc: "With `ssl`, in place of `ca_file`: the SHA-256 of the agent's certificate, which then needs no authority.",
		},
	}, sessionAttributes, limitAttributes),
	blocks: []*block{ruleBlock},
}

// agent is an Agent with what is needed to check references.
type agent struct {
	*Agent
	header    hcl.Range
	mode      hcl.Range // where the encryption is said
	inbound   bool      // it has an address, good or bad
	listeners []item
	listed    bool
	identity  []hcl.Range
}

func (s *section) agent() *Agent {
	set := s.rules(place{})
	out := &Agent{
		Encryption:  s.word("encryption"),
		IdleTimeout: s.duration("idle_timeout"),
		MaxDuration: s.duration("max_duration"),
		Rules:       set.rules,
		Limits:      s.limits(),
		Mapper:      s.mapperName(),
		Where:       s.where(s.header),
	}
	out.Name, out.Pattern = s.labelPattern()
	for _, pattern := range s.checked("offers", access.CheckPattern) {
		out.Offers = append(out.Offers, strings.ToLower(pattern))
	}
	s.inbound(out)
	declared := &agent{
		Agent: out, header: s.header, mode: s.at("encryption"), inbound: s.has("address"),
		listeners: s.list("listeners"), listed: s.has("listeners"), identity: set.identity,
	}
	if first, again := s.agents.add(out.Name, s.label.at, declared); again {
		s.duplicate("agent", s.label.at, first)
	}
	return out
}

// inbound decodes how the server reaches the agent, if it does.
func (s *section) inbound(out *Agent) {
	if !s.has("address") {
		s.checkSelected("")
		if out.Encryption == "aes" {
			s.bad(s.at("encryption"), "encryption", `an agent without "address" dials the server, and has "ssl" or "none"`)
		}
		return
	}
	s.checkSelected(addressOnly[0])
	s.checkEncryption(out.Encryption)
	if out.Pattern {
		s.fail(s.attributes["address"].NameRange, "Argument out of place", "Agents of a pattern dial the server: an agent with an \"address\" has a name of its own.")
	}
	for _, name := range []string{"offers", "listeners"} {
		if out.Encryption == "aes" && s.has(name) {
			s.fail(s.attributes[name].NameRange, "Argument out of place", "%q has no use with encryption = \"aes\": such an agent carries no streams.", name)
		}
	}
	switch {
	case s.has("ca_file") && s.has("fingerprint"):
		s.fail(s.attributes["fingerprint"].NameRange, "Agent with two arguments for one thing", `Only one of "ca_file" and "fingerprint" can be set.`)
	case s.has("server_name") && !s.has("ca_file"):
		s.fail(s.attributes["server_name"].NameRange, "Argument out of place", `"server_name" may stand only with "ca_file".`)
	}
	if address := s.text("address"); address != "" {
		out.Address = withPort(address, agentPort)
	}
	out.KeyFile, out.AESKeyFile = s.path(s.text("key_file")), s.path(s.text("aes_key_file"))
	out.CAFile, out.ServerName = s.path(s.text("ca_file")), s.text("server_name")
	out.Fingerprint = strings.ToLower(strings.ReplaceAll(s.text("fingerprint"), ":", ""))
}

// checkEncryption reports the arguments that belong to another encryption, and a key that is missing.
func (s *section) checkEncryption(chosen string) {
	for _, a := range []struct{ name, with string }{
		{"aes_key_file", "aes"},
		{"ca_file", "ssl"}, {"server_name", "ssl"}, {"fingerprint", "ssl"}, {"certificate_file", "ssl"}, {"certificate_key_file", "ssl"},
	} {
		if s.has(a.name) && chosen != a.with && chosen != "" {
			s.fail(s.attributes[a.name].NameRange, "Argument out of place", "%q may stand only with encryption = %q.", a.name, a.with)
		}
	}
	if chosen == "aes" && !s.has("aes_key_file") {
		s.missing(s.at("encryption"), "Missing required argument", `With encryption = "aes", "aes_key_file" is required: the file with its key.`)
	}
}

// labelPattern returns the block's label in lower case, which is a DNS label that may have "*" in it.
func (s *section) labelPattern() (name string, pattern bool) {
	name = strings.ToLower(s.label.text)
	if err := jackfield.CheckLabel(strings.ReplaceAll(name, "*", "x")); err != nil {
		s.fail(s.label.at, "Bad name", "The name of an agent is a DNS label, in which a \"*\" stands for any characters, but %v.", err)
	}
	return name, strings.Contains(name, "*")
}

func checkAgentAddress(s string) error { return checkHostPort(withPort(s, agentPort), false) }

func checkAgentName(s string) error {
	if jackfield.CheckLabel(s) != nil {
		return errors.New("the name of an agent is a DNS label")
	}
	return nil
}

func checkCertificateName(s string) error {
	_, err := parseHostName(s)
	return err
}

func checkFingerprint(s string) error {
	if !isHex(strings.ReplaceAll(s, ":", ""), 64) {
		return errors.New("a fingerprint has 64 hexadecimal digits")
	}
	return nil
}

// checkKeyPath tells a key from the path of its file.
func checkKeyPath(s string) error {
	if isHex(s, 32) || isHex(s, 64) {
		return errors.New("this is a key, not the file that has it; a key has no place in the configuration")
	}
	return checkPath(s)
}

func isHex(s string, digits int) bool {
	return len(s) == digits && strings.Trim(s, "0123456789abcdefABCDEF") == ""
}

// checkAgents finds the listeners of agents, and reports agents and services that could not work.
func (l *loader) checkAgents() {
	for _, a := range l.agents.order {
		a.Listeners = l.publishing(a.listeners)
		if !a.listed && a.Encryption != "aes" {
			a.Listeners = l.listenersThat(func(from *listener) bool { return from.Protocol == "https" })
		}
		if a.inbound {
			l.checkInbound(a)
		} else {
			l.checkOutbound(a)
		}
	}
	for _, s := range l.services.order {
		if a := l.agents.byName[s.Agent]; a != nil && a.inbound && a.Encryption == "aes" {
			l.fail(s.agent.at, "Agent without streams", `%sthis agent, at %s, has encryption = "aes", which carries no streams.`, l.source(s.agent.at), a.Where)
		}
	}
}

func (l *loader) checkInbound(a *agent) {
	if len(a.Offers) > 0 && len(a.Listeners) == 0 && !a.listed {
		l.warn(a.header, "Services published nowhere", `It lists no "listeners", and there is none of protocol "https".`)
	}
}

func (l *loader) checkOutbound(a *agent) {
	if len(l.listenersThat(func(from *listener) bool { return from.Agents })) == 0 {
		l.warn(a.header, "Agent without a listener", `No listener of protocol "https" lets agents in.`)
	}
	plain := l.listenersThat(func(from *listener) bool { return from.protocol.linked == "agents" })
	if a.Encryption == "none" && len(plain) == 0 {
		l.missing(a.mode, "Agent without a listener", `With encryption = "none" its streams come to a listener of protocol "agent-data", and there is none.`)
	}
}

// publishers returns the listeners that publish what an agent offers.
func (l *loader) publishers(a *agent) []*listener {
	var publishers []*listener
	for _, name := range a.Listeners {
		publishers = append(publishers, l.listeners.byName[name])
	}
	return publishers
}
