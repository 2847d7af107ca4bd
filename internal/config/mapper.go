package config

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Mapper is a program that decides, by the Mapper protocol. Whether it exists is not known here.
type Mapper struct {
	Name           string // in lower case
	Path           string // absolute, or a plain name to be looked up in PATH
	Args           []string
	User           string            // a name or a number; empty: the server's
	Env            map[string]string // the values are secrets
	EnvKeep        []string
	Nice           int
	Timeout        time.Duration
	KillHung       bool
	MaxProcesses   int
	Batch          int           // requests per process
	Warm           int           // processes
	Cache          time.Duration // 0: no decision is kept
	Resolve        bool
	ShowReason     bool
	Accept         []string // what it may ask for: names from acceptable
	MaxConnections int      // 0: number-of-connections is not looked at
	Where          string
}

// acceptable is what a mapper may ask for, if the configuration allows it.
var acceptable = []string{"max-seconds", "idle-seconds", "audit-note"}

// mapperAttribute stands wherever a mapper can be attached.
var mapperAttribute = attribute{
	name: "mapper", kind: text{what: "mapper name"}, changes: newSessions,
	doc: "The program that is asked last, when everything else has let the client in; see [mapper](#mapper-name). " +
		"Those of all levels must allow. At the top, and in a listener of protocol `mihini`, it is asked about devices that want to come in, too.",
}

var mapperBlock = &block{
	name:  "mapper",
	label: "NAME",
	doc: "A program that decides who may use a service, by the [Mapper protocol](protocols/mapper.md). Its name is a DNS label; `mapper = \"NAME\"` attaches it, at the top, " +
		"in a listener, a station or a service. It starts in `/`, and of what the file says elsewhere of programs only the server's own user holds for it. " +
		"Whatever goes wrong with it denies.",
	changes: newSessions,
	attributes: []attribute{
		{
			name: "command", kind: list{of: "words"}, required: true,
			doc: "The program and its arguments. The first word is an absolute path, or a plain name that is looked up in the server's `PATH`. No shell is involved.",
		},
		{
			name: "timeout", kind: duration{10 * time.Millisecond, 5 * time.Minute}, fallback: "5s",
			doc: "How long an answer may take, from the question on: a start of the program and the wait for a free process are part of it. Then the answer is no.",
		},
		{
			name: "user", kind: text{what: "user name or number", check: checkAccount},
			doc: "Whose the program is. Unset: the server's user.",
		},
		{
			name: "env", kind: variables{},
			doc: "Its environment variables, besides `PATH`, `HOME`, `USER`, `LOGNAME` and `JACKFIELD_MAPPER`, its name here.",
		},
		{
			name: "env_keep", kind: list{of: "variable names"},
			doc: "Variables that it takes over from the server's environment, where they are set there.",
		},
		{
			name: "nice", kind: count{-20, 19}, fallback: "10",
			doc: "Added to the server's niceness. The programs start often and want a processor at once, and sessions that run come first.",
		},
		{
			name: "kill_hung", kind: boolean{}, fallback: "true",
			doc: "End the process group of one that has not ended a second after its time. `false` is what the protocol's document says: it is left alone, and counts for `max_processes` until it ends.",
		},
		{
			name: "max_processes", kind: count{1, 1000}, fallback: "16",
			doc: "How many of its processes may live at once, those that wait ahead included. Further questions wait for one, within `timeout`.",
		},
		{
			name: "batch", kind: count{1, 1000}, fallback: "1",
			doc: "How many questions one process may get at most. Those that wait when a process stands ready go to it together, and share its fate: if it fails, all of them are denied.",
		},
		{
			name: "warm", kind: count{0, 100}, fallback: "0",
			doc: "How many processes are started ahead, so that a question does not wait for the program to start.",
		},
		{
			name: "cache", kind: duration{time.Second, time.Hour},
			doc: "How long an answer holds for questions that are the same in every entry; the session's id is then not sent. Unset: every session is asked about anew.",
		},
		{
			name: "resolve", kind: boolean{}, fallback: "false",
			doc: "Resolve the client's address, and send the name as `addr-fqdn` if it leads back to the address.",
		},
		{
			name: "show_reason", kind: boolean{}, fallback: "false",
			doc: "Tell a client that it denies what it says for a reason. Log and audit have it in any case.",
		},
		{
			name: "accept", kind: list{of: "`\"max-seconds\"`, `\"idle-seconds\"`, `\"audit-note\"`"},
			doc: "What it may ask for in the entries that it returns. Those that are not named here are ignored.",
		},
		{
			name: "max_connections", kind: count{1, 1_000_000},
			doc: "Deny where the entry `number-of-connections` that it returns is this or more, or is missing. Unset: the entry is ignored.",
		},
	},
}

func (s *section) mapper() *Mapper {
	s.checkUser()
	var p Program
	s.environment(&p)
	m := &Mapper{
		Name:           s.labelName(),
		User:           s.text("user"),
		Env:            p.Env,
		EnvKeep:        p.EnvKeep,
		Nice:           s.count("nice"),
		Timeout:        s.duration("timeout"),
		KillHung:       s.boolean("kill_hung"),
		MaxProcesses:   s.count("max_processes"),
		Batch:          s.count("batch"),
		Warm:           s.count("warm"),
		Cache:          s.duration("cache"),
		Resolve:        s.boolean("resolve"),
		ShowReason:     s.boolean("show_reason"),
		Accept:         s.checked("accept", checkAccept),
		MaxConnections: s.count("max_connections"),
		Where:          s.where(s.header),
	}
	if words := s.words(0); len(words) > 0 {
		m.Path, m.Args = words[0], words[1:]
	}
	if s.has("warm") && m.Warm > m.MaxProcesses {
		s.bad(s.at("warm"), "warm", fmt.Sprintf(`no more than "max_processes", %d, can be started ahead`, m.MaxProcesses))
	}
	if first, again := s.mappers.add(m.Name, s.label.at, m); again {
		s.duplicate("mapper", s.label.at, first)
	}
	return m
}

func checkAccept(s string) error {
	if !slices.Contains(acceptable, s) {
		return errors.New("a program may ask for " + strings.Join(quoteAll(acceptable), ", "))
	}
	return nil
}

// mapperName decodes which mapper is attached; link finds out whether there is one.
func (s *section) mapperName() string {
	name := strings.ToLower(s.text("mapper"))
	if name != "" {
		s.attached = append(s.attached, item{name, s.at("mapper")})
	}
	return name
}

// checkMappers checks the names of mappers, and warns of mappers that are attached nowhere.
func (l *loader) checkMappers() {
	used := map[string]bool{}
	for _, reference := range l.attached {
		used[reference.text] = true
		if l.mappers.byName[reference.text] == nil {
			l.missing(reference.at, "Unknown mapper", "%sthere is no mapper of this name.%s",
				l.source(reference.at), didYouMean(reference.text, l.mappers.names()))
		}
	}
	for _, name := range l.mappers.names() {
		if !used[name] {
			l.warn(l.mappers.at[name], "Mapper attached nowhere", `Nothing says mapper = %q, so it decides nothing.`, name)
		}
	}
}
