package importer

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

func (b *block) isMux() bool { return b.types["TCPMUX"] || b.types["TCPMUXPLUS"] }

// isOff says whether the service is switched off. xinetd knows services by their ids there.
func (x *xinetd) isOff(b *block) bool {
	id := b.name
	if given := b.value("id"); given != "" {
		id = given
	}
	d := &x.defaults
	return b.value("disable") == "yes" || slices.Contains(d.disabled, id) || d.enabled != nil && !slices.Contains(d.enabled, id)
}

// refusal says why a service is left out: xinetd would not start it, or it is none of those that are translated.
func (x *xinetd) refusal(b *block) error {
	internal := b.types["INTERNAL"]
	_, redirected := b.single["redirect"]
	protocol, socket := b.value("protocol"), b.value("socket_type")
	off := b.value("disable")
	switch {
	case b.refused != nil:
		return b.refused
	case off != "" && off != "no":
		return errors.New("disable is neither yes nor no")
	case b.types["RPC"], b.types["SPECIAL"]:
		return errors.New("an RPC service")
	case protocol == "" && socket == "", protocol != "" && protocol != "tcp", socket != "" && socket != "stream":
		return errors.New("only services on TCP streams are")
	case b.value("wait") == "yes":
		return errors.New("a program that accepts connections itself")
	case b.value("wait") != "no":
		return errors.New("wait must be yes or no")
	case b.flags["SENSOR"]:
		return errors.New("a sensor")
	case b.flags["IPv4"] && b.flags["IPv6"]:
		return errors.New("it is for IPv4 and for IPv6")
	case !internal && b.value("user") == "":
		return errors.New("the user is missing")
	case !internal && !redirected && !strings.HasPrefix(b.value("server"), "/"):
		return errors.New("the server is missing or no absolute path")
	case b.isMux() && !b.types["UNLISTED"]:
		return errors.New("xinetd wants TCPMUX services to be of type UNLISTED, too")
	case b.flags["NAMEINARGS"] && (internal || redirected || len(b.single["server_args"].values) == 0):
		return errors.New("the flag NAMEINARGS is out of place")
	}
	return nil
}

// fill makes listeners and service of a block.
func (x *xinetd) fill(b *block) error {
	limits, err := b.sessionLimits()
	if err != nil {
		return err
	}
	rules, err := b.access()
	if err != nil {
		return err
	}
	if b.types["INTERNAL"] && b.name == "tcpmux" && !b.isMux() {
		return x.listen(b, listener{mux: true, limits: limits, rules: rules})
	}
	s := &service{mux: b.isMux(), limits: limits, rules: rules}
	switch _, redirected := b.single["redirect"]; {
	case b.types["INTERNAL"]:
		if !isBuiltin(b.name) || b.name == "qotd" {
			return errors.New("there is no builtin of this name")
		}
		s.builtin = b.name
	case redirected:
		s.address, err = x.redirection(b)
	default:
		s.program, err = b.program()
	}
	if err != nil {
		return err
	}
	b.entry.service = s
	if s.mux {
		return nil
	}
	if id := b.value("id"); id != "" {
		b.asked = id
	}
	return x.listen(b, listener{})
}

// listen gives the block's entry a listener like l on its port.
func (x *xinetd) listen(b *block, l listener) error {
	port, err := x.port(b)
	if err != nil {
		return err
	}
	l.port = port
	l.host = b.value("bind")
	switch v6only := b.value("v6only"); {
	case v6only == "yes":
		l.family = onlyIPv6
	case v6only != "" && v6only != "no":
		return errors.New("v6only is neither yes nor no")
	case b.flags["IPv4"]:
		l.family = onlyIPv4
	}
	return b.addListener(l)
}

// port returns the block's own port or, when its name is listed, that one; as in xinetd they must agree.
func (x *xinetd) port(b *block) (int, error) {
	own := b.value("port")
	if own == "" && b.types["UNLISTED"] {
		return 0, errors.New("an unlisted service needs a port")
	}
	if own != "" && !isNumber(own) {
		return 0, errors.New("the port is no number")
	}
	if b.types["UNLISTED"] {
		return parsePort(own)
	}
	listed, err := x.portNumber(b.name)
	switch {
	case own == "":
		return listed, err
	case err != nil:
		b.note("the look-up of "+b.name, b.where, "no port of this name is known here, which xinetd insists on")
		return parsePort(own)
	case strconv.Itoa(listed) != own:
		return 0, fmt.Errorf("the port of %s is %d here, and xinetd takes no other", b.name, listed)
	}
	return listed, nil
}

// redirection returns the address of "redirect = HOST PORT".
func (x *xinetd) redirection(b *block) (string, error) {
	to := b.single["redirect"].values
	if address, err := netip.ParseAddr(to[0]); err != nil && !isHostName(to[0]) || address.Zone() != "" {
		return "", fmt.Errorf("%s is neither an IP address nor a host name", to[0])
	}
	port, err := x.portNumber(to[1])
	if err != nil {
		return "", err
	}
	return net.JoinHostPort(to[0], strconv.Itoa(port)), nil
}

// program translates how the server is run.
func (b *block) program() (*program, error) {
	run := &program{
		path: b.value("server"), args: b.single["server_args"].values, dedicated: !b.types["TCPMUXPLUS"],
		user: b.value("user"), group: b.value("group"), env: b.env,
	}
	if b.flags["NAMEINARGS"] {
		run.arg0, run.args = zeroth(run.path, run.args[0]), run.args[1:]
	}
	if b.keep != nil {
		run.keep = *b.keep
	}
	if text := b.value("umask"); text != "" {
		mask, err := strconv.ParseUint(text, 8, 32)
		if err != nil || mask > 0o777 {
			return nil, errors.New("the umask is no octal number up to 777")
		}
		run.umask = fmt.Sprintf("%03o", mask)
	}
	if text := b.value("nice"); text != "" {
		nice, err := strconv.Atoi(text)
		if err != nil {
			return nil, errors.New("nice is no number")
		}
		run.nice = min(max(nice, -20), 19)
	}
	var err error
	run.limits, err = b.resourceLimits()
	return run, err
}

func (b *block) resourceLimits() ([]limit, error) {
	var limits []limit
	for _, known := range []limit{{name: "rlimit_files"}, {name: "rlimit_cpu"}, {name: "rlimit_as"}} {
		text := b.value(known.name)
		if text == "" || text == "UNLIMITED" {
			continue
		}
		factor := uint64(1)
		digits := text
		if known.name != "rlimit_cpu" {
			digits, factor = byteFactor(text)
		}
		n, err := strconv.ParseUint(digits, 10, 63)
		if err != nil || n*factor/factor != n || n*factor >= 1<<63 {
			return nil, fmt.Errorf("%s is no limit", known.name)
		}
		if n > 0 { // xinetd sets no limit of 0
			names := map[string]string{"rlimit_files": "nofile", "rlimit_cpu": "cpu", "rlimit_as": "as"}
			limits = append(limits, limit{names[known.name], n * factor})
		}
	}
	return limits, nil
}

// byteFactor splits a unit off a number: k or m, in either case.
func byteFactor(s string) (digits string, factor uint64) {
	switch s[len(s)-1] {
	case 'k', 'K':
		return s[:len(s)-1], 1 << 10
	case 'm', 'M':
		return s[:len(s)-1], 1 << 20
	}
	return s, 1
}

// sessionLimits translates instances, per_source and cps. A limit of 0 lets nobody in: access sees to that.
func (b *block) sessionLimits() (limits, error) {
	var found limits
	for _, a := range []struct {
		name  string
		count *int
	}{{"instances", &found.sessions}, {"per_source", &found.sessionsPerSource}} {
		text := b.value(a.name)
		if text == "" || text == "UNLIMITED" {
			continue
		}
		var err error
		if *a.count, err = parseCount(text, maxSessions); err != nil {
			return found, fmt.Errorf("%s: %w", a.name, err)
		}
	}
	if cps, set := b.single["cps"]; set {
		count, err := parseCount(cps.values[0], maxRate)
		if err != nil {
			return found, fmt.Errorf("cps: %w", err)
		}
		if _, err := parseCount(cps.values[1], maxRate); err != nil {
			return found, fmt.Errorf("cps: %w", err)
		}
		found.rate = rate{count, "s"}
		if !cps.inherited {
			b.notePause(cps)
		}
	}
	return found, nil
}

// notePause says what max_rate does not do. A rate of 0 is none.
func (e *entry) notePause(cps attribute) {
	if strings.Trim(cps.values[0], "0") == "" {
		return
	}
	e.note("the pause in "+cps.String(), cps.where, "what exceeds the rate is refused")
}

// access translates who may use the service, and when.
func (b *block) access() ([]rule, error) {
	for _, name := range []string{"instances", "per_source"} {
		if text := b.value(name); isNumber(text) && strings.Trim(text, "0") == "" {
			b.note(b.single[name].String(), b.single[name].where, "nobody is let in, as before")
			return closed(), nil
		}
	}
	for _, flag := range []string{"IDONLY", "LABELED"} {
		if b.flags[flag] {
			b.note("flag "+flag, b.single["flags"].where, "nobody is let in, since it restricts who may be")
			return closed(), nil
		}
	}
	when := ""
	if a, limited := b.single["access_times"]; limited {
		var open times
		for _, interval := range a.values {
			if err := open.open(interval); err != nil {
				return nil, fmt.Errorf("%s: %w", a, err)
			}
		}
		condition, none, exact := open.condition()
		if !exact {
			b.note("minutes in "+a.String(), a.where, "only the whole hours in these times")
		}
		if none {
			return closed(), nil
		}
		when = condition
	}
	return b.accessRules(b.onlyFrom, b.noAccess, when), nil
}
