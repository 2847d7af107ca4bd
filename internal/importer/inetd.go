package importer

import (
	"errors"
	"fmt"
	"strings"
)

// disabled begins a line that Debian's update-inetd switched off.
const disabled = "#<off>#"

// inetdFile is a file of inetd's while it is read.
type inetdFile struct {
	*translation
	name  string
	hosts string // that hold for lines without their own
}

// inetd translates a file: one entry in a line, and lines that begin with a blank continue the one above.
func (t *translation) inetd(file File) error {
	f := &inetdFile{translation: t, name: file.Name, hosts: "*"}
	var open *inetdLine
	for i, text := range lines(file.Data) {
		line := &inetdLine{where: fmt.Sprintf("%s:%d", excerpt(file.Name), i+1), parts: []string{text}}
		switch bare := strings.TrimLeft(text, blanks); {
		case bare == "" || strings.HasPrefix(bare, "#"):
			if err := f.entry(open); err != nil {
				return err
			}
			open = nil
			if off, isOff := strings.CutPrefix(bare, disabled); isOff {
				if err := t.add(&entry{where: line.where, remarks: []string{switchedOff(off, line.where)}}); err != nil {
					return err
				}
			}
		case bare != text && open != nil && !looksWhole(text):
			open.parts = append(open.parts, bare)
		default:
			line.indented = bare != text && open != nil
			if err := f.entry(open); err != nil {
				return err
			}
			open = line
		}
	}
	return f.entry(open)
}

// inetdLine is a line with those that continue it.
type inetdLine struct {
	where    string
	parts    []string
	indented bool // below another: BSD's inetd takes it for a part of that, GNU's does not
}

// looksWhole says whether a line that begins with a blank could be an entry of its own.
func looksWhole(line string) bool {
	words := strings.Fields(line)
	return len(words) >= 6 && isSocketType(words[1])
}

func isSocketType(s string) bool {
	switch s {
	case "stream", "dgram", "raw", "rdm", "seqpacket":
		return true
	}
	return false
}

// entry translates a line; nil is none.
func (f *inetdFile) entry(line *inetdLine) error {
	if line == nil {
		return nil
	}
	e := &entry{where: line.where}
	text := strings.Join(line.parts, " ")
	words, err := splitQuoted(text)
	switch {
	case err != nil:
		return f.add(e.omit(text, err.Error()))
	case len(words) == 0:
		return nil
	case len(words) == 1 && strings.HasSuffix(words[0], ":"):
		f.hosts = strings.TrimSuffix(words[0], ":")
		return nil
	case line.indented:
		return f.add(e.omit(text, "it begins with a blank, which some inetds take for a continuation"))
	case len(words) < 6:
		return f.add(e.omit(text, "fields are missing"))
	}
	if err := f.translate(e, words); err != nil {
		e.omit(text, err.Error())
	}
	return f.add(e)
}

// translate fills the entry from the words of a line: service, socket type, protocol, wait, user, program, arguments.
func (f *inetdFile) translate(e *entry, words []string) error {
	family, err := e.inetdProtocol(words[1], words[2])
	if err != nil {
		return err
	}
	hosts, name := f.hosts, words[0]
	if i := strings.LastIndexByte(name, ':'); i >= 0 {
		hosts, name = name[:i], name[i+1:]
	}
	limits, err := e.inetdWait(words[3])
	if err != nil {
		return err
	}
	if subordinate, isMux := strings.CutPrefix(name, "tcpmux/"); isMux {
		return e.inetdMux(subordinate, limits, words)
	}
	if name == "" || strings.Contains(name, "/") {
		return errors.New("the name of a service has no slash")
	}
	e.asked = name
	if name == "tcpmux" && words[5] == "internal" {
		return f.listen(e, hosts, listener{mux: true, family: family, limits: limits})
	}
	if err := f.listen(e, hosts, listener{family: family}); err != nil {
		return err
	}
	e.service = &service{limits: limits}
	return e.inetdProgram(name, words)
}

// inetdMux translates a service that the tcpmux entry starts: "NAME", or "+NAME" when that writes the "+".
func (e *entry) inetdMux(name string, limits limits, words []string) error {
	name, plus := strings.CutPrefix(name, "+")
	if name == "" {
		return errors.New("the name is missing")
	}
	e.asked = name
	e.service = &service{mux: true, limits: limits}
	if err := e.inetdProgram(name, words); err != nil {
		return err
	}
	if e.service.program != nil {
		e.service.program.dedicated = !plus
	}
	return nil
}

// inetdProgram translates user, program and arguments.
func (e *entry) inetdProgram(name string, words []string) error {
	if words[5] == "internal" {
		if !isBuiltin(name) {
			return errors.New("there is no builtin of this name")
		}
		e.service.builtin = name
		return nil
	}
	if !strings.HasPrefix(words[5], "/") {
		return errors.New("the program has no absolute path")
	}
	run := &program{path: words[5]}
	if len(words) > 6 {
		run.arg0, run.args = zeroth(run.path, words[6]), words[7:]
	}
	user, class, _ := strings.Cut(words[4], "/")
	if class != "" {
		e.note("login class "+class, e.where, "")
	}
	separator := ":"
	if !strings.Contains(user, separator) {
		separator = "."
	}
	run.user, run.group, _ = strings.Cut(user, separator)
	if run.user == "" {
		return errors.New("the user is missing")
	}
	e.service.program = run
	return nil
}

// listen gives the entry a listener like l on the port of its service, for each of the hosts.
func (f *inetdFile) listen(e *entry, hosts string, l listener) error {
	port, err := f.portNumber(e.asked)
	if err != nil {
		return err
	}
	l.port = port
	for host := range strings.SplitSeq(hosts, ",") {
		host = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
		one := l
		if host != "*" && host != "" {
			one.host = host
		} else if l.family == anyFamily { // "tcp" is IPv4 for most inetds, both families for OpenBSD's
			one.family = onlyIPv4
		}
		if err := e.addListener(one); err != nil {
			return err
		}
	}
	return nil
}

// inetdProtocol reads the socket type and "PROTOCOL[,OPTION…]". Where the inetds differ in what "tcp" and "tcp6" listen on, it
// is the least.
func (e *entry) inetdProtocol(socket, field string) (family, error) {
	protocol, options, _ := strings.Cut(field, ",")
	families := map[string]family{
		"tcp": anyFamily, "tcp4": onlyIPv4, "tcp6": onlyIPv6, "tcp6only": onlyIPv6,
	}
	found, known := families[protocol]
	switch {
	case strings.HasPrefix(protocol, "rpc/"):
		return 0, errors.New("an RPC service")
	case socket != "stream" || !known:
		return 0, errors.New("only services on TCP streams are")
	case options != "":
		e.note(options, e.where, "")
	}
	return found, nil
}

// inetdWait reads "nowait" with its limits: ".N" and ":N" are sessions in a minute, and FreeBSD's "/N/M/K" are sessions,
// sessions of one source in a minute, and sessions of one source. 0 is no limit.
func (e *entry) inetdWait(field string) (limits, error) {
	end := strings.IndexAny(field, ".:/")
	word, suffix := field, ""
	if end >= 0 {
		word, suffix = field[:end], field[end:]
	}
	var found limits
	switch {
	case word == "wait":
		return found, errors.New("a program that accepts connections itself")
	case word != "nowait":
		return found, errors.New(`neither "wait" nor "nowait"`)
	case suffix == "":
		return found, nil
	}
	var counts []int
	for text := range strings.SplitSeq(suffix[1:], "/") {
		n, err := parseCount(text, maxRate)
		if err != nil {
			return found, fmt.Errorf("%s: %w", excerpt(field), err)
		}
		counts = append(counts, n)
	}
	switch {
	case suffix[0] == '/' && len(counts) <= 3:
		counts = append(counts, 0, 0)
		found.sessions, found.ratePerSource, found.sessionsPerSource = counts[0], rate{counts[1], "m"}, counts[2]
	case suffix[0] != '/' && len(counts) == 1 && counts[0] == 0:
		e.note(field, e.where, "a rate of 0")
	case suffix[0] != '/' && len(counts) == 1:
		found.rate = rate{counts[0], "m"}
		e.note("the pause of ten minutes after "+field, e.where, "what exceeds the rate is refused")
	default:
		return found, errors.New("too many limits")
	}
	return found, nil
}
