package config

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

var commandOnly = []string{"`command`"}

// What is handed to a program at most, well within what any system takes.
const maxWords = 64 << 10 // bytes of a command, and of the variables of one block

// plainCommandAttributes stand in the services of agents, too, commandAttributes in those of the server only.
var plainCommandAttributes = []attribute{
	{
		name: "command", kind: list{of: "words"},
		doc: "The route `command`: a program, and its arguments, that is started for each session, as inetd does it. The client is its standard input and output. " +
			"The first word is an absolute path, or a plain name that is looked up in the server's `PATH`. No shell is involved.",
	},
	{
		name: "arg0", kind: text{what: "string", check: checkWord}, only: commandOnly,
		doc: "What the program finds as its own name. Unset: the first word of `command`.",
	},
	{
		name: "stderr", kind: word{"log", "socket"}, fallback: "log", only: commandOnly,
		doc: "Where the program's standard error goes: line by line to the server's log, or to the client, as inetd has it.",
	},
	{
		name: "kill_grace", kind: duration{0, 5 * time.Minute}, fallback: "5s", only: commandOnly,
		doc: "How long the program's process group has, when the session is over, between SIGTERM and SIGKILL.",
	},
}

var commandAttributes = slices.Concat(plainCommandAttributes, []attribute{
	{
		name: "mode", kind: word{"plus", "dedicated"}, fallback: "plus", only: commandOnly,
		doc: "Who sends the `+` of TCPMUX: Jackfield, when the program stands ready (`plus`), or the program itself (`dedicated`).",
	},
	{
		name: "sockenv", kind: boolean{}, fallback: "false", only: commandOnly,
		doc: "Tell the program who is connected, in the variables `PROTO`, `SOCKTYPE`, `LOCALIP`, `LOCALPORT`, `REMOTEIP` and `REMOTEPORT`.",
	},
	{
		name: "resolve", kind: boolean{}, fallback: "false", only: commandOnly,
		doc: "With `sockenv = true`: resolve both addresses, too, and set `LOCALHOST` and `REMOTEHOST`.",
	},
})

func (s *section) command() *Command {
	out := s.plainCommand()
	if out == nil {
		return nil
	}
	out.Dedicated = s.word("mode") == "dedicated"
	out.SockEnv, out.Resolve = s.boolean("sockenv"), s.boolean("resolve")
	if out.Resolve && !out.SockEnv {
		s.fail(s.attributes["resolve"].Range, "Argument out of place", `"resolve" has no use without sockenv = true.`)
	}
	return out
}

// plainCommand decodes plainCommandAttributes.
func (s *section) plainCommand() *Command {
	if !s.has("command") {
		return nil
	}
	out := &Command{
		Arg0:         s.text("arg0"),
		StderrSocket: s.word("stderr") == "socket",
		KillGrace:    s.duration("kill_grace"),
	}
	if words := s.words(len(out.Arg0)); len(words) > 0 {
		out.Path, out.Args = words[0], words[1:]
	}
	return out
}

// words returns the words of a command, to which other bytes are added.
func (s *section) words(other int) []string {
	var words []string
	total := other
	for i, element := range s.list("command") {
		check := checkWord
		if i == 0 {
			check = checkProgramPath
		}
		if err := check(element.text); err != nil {
			s.bad(element.at, "command", err.Error())
			continue
		}
		words = append(words, element.text)
		total += len(element.text)
	}
	if total > maxWords {
		s.bad(s.at("command"), "command", fmt.Sprintf("a command and its arguments may have %d bytes", maxWords))
	}
	return words
}

func checkWord(s string) error {
	if s == "" {
		return errors.New("a word is empty")
	}
	return checkNoNUL(s)
}

// checkProgramPath does not look whether the program exists.
func checkProgramPath(s string) error {
	if !isAbsolute(s) && strings.ContainsAny(s, `/\`) {
		return errors.New("a program is an absolute path, or a plain name that is looked up in PATH")
	}
	return checkWord(s)
}

func checkNoNUL(s string) error {
	if strings.Contains(s, "\x00") {
		return errors.New("no program can be given a NUL")
	}
	return nil
}
