package config

import (
	"errors"
	"math"
	"strconv"
	"strings"
	"unicode"

	"github.com/zclconf/go-cty/cty"
)

// serverUserAttributes stand at the top, userAttributes in listeners, stations and services.
var (
	serverUserAttributes = []attribute{
		{
			name: "user", kind: text{what: "user name or number", check: checkAccount}, changes: restart,
			doc: "The server becomes this user once its sockets are open, so its programs are that user's, too. No listener, station or service can then " +
				"say `user`, `group` or `groups`: a process that has dropped its privileges cannot take another user. Unset: the server stays what it is.",
		},
		{
			name: "group", kind: text{what: "group name or number", check: checkAccount}, changes: restart,
			doc: "The server's group, likewise. Unset: the user's.",
		},
		{
			name: "groups", kind: list{of: "group names or numbers"}, changes: restart,
			doc: "The server's supplementary groups, likewise; without `user` and `group`, only those of its programs. Unset: those that the user is in.",
		},
	}

	userAttributes = []attribute{
		{
			name: "user", kind: text{what: "user name or number", check: checkAccount},
			doc: "Whose the programs are. Unset everywhere: the server's user.",
		},
		{
			name: "group", kind: text{what: "group name or number", check: checkAccount},
			doc: "The programs' group. Unset everywhere: the user's.",
		},
		{
			name: "groups", kind: list{of: "group names or numbers"},
			doc: "The programs' supplementary groups. Unset everywhere: those that the user is in.",
		},
	}
)

// programAttributes stand at the top, in listeners, in stations and in services.
var programAttributes = []attribute{
	{
		name: "umask", kind: text{what: "octal number as a string, `\"000\"` to `\"777\"`", check: checkUmask}, changes: newSessions,
		doc: "Which permissions programs do not give to the files that they make. Unset everywhere: the server's own.",
	},
	{
		name: "env", kind: variables{}, changes: newSessions,
		doc: "Environment variables of programs.",
	},
	{
		name: "env_keep", kind: list{of: "variable names"}, changes: newSessions,
		doc: "Variables that programs take over from the server's environment, where they are set there.",
	},
	{
		name: "env_unset", kind: list{of: "variable names"}, changes: newSessions,
		doc: "Variables that programs do not get, although a block further out says so.",
	},
	{
		name: "directory", kind: text{what: "absolute path", check: checkDirectory}, changes: newSessions,
		doc: "Where programs start. Unset everywhere: `/`.",
	},
	{
		name: "nice", kind: count{-20, 19}, changes: newSessions,
		doc: "The niceness of programs: the higher, the less of the processor they get beside others. Unset everywhere: the server's own.",
	},
}

var resourcesBlock = &block{
	name: "limits",
	doc: "Limits that the system holds programs to, see setrlimit(2); both the soft and the hard one. Each is inherited on its own, and `\"unlimited\"` takes away one " +
		"that is inherited. Unset everywhere: what the server was started with. In a service it may stand only with `command`.",
	changes: newSessions,
	attributes: []attribute{
		{
			name: "nofile", kind: limit{count{0, math.MaxInt32}},
			doc: "Open files of a process.",
		},
		{
			name: "nproc", kind: limit{count{0, math.MaxInt32}},
			doc: "Processes and threads of the program's user, whoever started them.",
		},
		{
			name: "cpu", kind: limit{count{1, math.MaxInt32}},
			doc: "Processor time of a process, in seconds.",
		},
		{
			name: "as", kind: limit{size{}},
			doc: "Address space of a process.",
		},
		{
			name: "fsize", kind: limit{size{}},
			doc: "The largest file that a process may write.",
		},
		{
			name: "core", kind: limit{size{}},
			doc: "The largest core dump.",
		},
	},
}

// program decodes what one level says of programs.
func (s *section) program() Program {
	s.checkUser()
	p := Program{
		User:      s.text("user"),
		Group:     s.text("group"),
		Groups:    s.checked("groups", checkAccount),
		Directory: s.text("directory"),
		Limits:    s.resources(),
	}
	if mask := s.text("umask"); mask != "" {
		n, _ := strconv.ParseUint(mask, 8, 16) // checkUmask has found it right
		p.Umask = new(int(n))
	}
	if s.has("nice") {
		p.Nice = new(s.count("nice"))
	}
	s.environment(&p)
	return p
}

// checkUser reports users and groups that no program can have, since the server gives its privileges away.
func (s *section) checkUser() {
	for _, name := range []string{"user", "group", "groups"} {
		if !s.has(name) {
			continue
		}
		at := s.attributes[name].Range
		switch {
		case s.schema != rootBlock && s.droppedAt != nil:
			s.fail(at, "Program cannot take another user", "At %s the server takes a user or group for its own, and a process that has dropped its "+
				"privileges cannot take another one for a program. Leave out %q here, or what stands there.", s.where(*s.droppedAt), name)
		case s.schema == rootBlock && name != "groups" && s.droppedAt == nil:
			s.droppedAt = &at
		}
	}
}

func (s *section) resources() map[string]uint64 {
	inner := s.one(resourcesBlock)
	if inner == nil {
		return nil
	}
	limits := map[string]uint64{}
	for _, a := range inner.schema.attributes {
		if value, ok := inner.value(a.name); ok {
			limits[a.name] = inner.resource(a, value)
		}
	}
	return limits
}

func (s *section) resource(a attribute, value cty.Value) uint64 {
	if value.Type() == cty.String && value.AsString() == "unlimited" {
		return Unlimited
	}
	if k, isCount := a.kind.(limit).of.(count); isCount {
		return uint64(s.whole(a.name, value, k))
	}
	return uint64(s.bytes(a.name, value))
}

// refuseResources reports limits of programs where there is none.
func (s *section) refuseResources() {
	for _, b := range s.blocks.OfType(resourcesBlock.name) {
		s.fail(b.DefRange, "Block out of place", "%q may stand only with %s.", b.Type, alternatives(commandOnly))
	}
}

// checkAccount does not look whether there is such a user or group.
func checkAccount(s string) error {
	const longest = 256
	bad := func(r rune) bool { return !unicode.IsPrint(r) || r == ' ' || r == ':' || r == '/' }
	if s == "" || len(s) > longest || strings.ContainsFunc(s, bad) {
		return errors.New(`users and groups are names or numbers, such as "nobody" or "65534"`)
	}
	return nil
}

func checkUmask(s string) error {
	if n, err := strconv.ParseUint(s, 8, 16); err != nil || n > 0o777 {
		return errors.New(`it must be an octal number from "000" to "777"`)
	}
	return nil
}

func checkDirectory(s string) error {
	if !isAbsolute(s) {
		return errors.New("an absolute path is required")
	}
	return checkNoNUL(s)
}
