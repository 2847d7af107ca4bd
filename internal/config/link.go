package config

import (
	"slices"
	"strconv"
	"strings"

	"github.com/hashicorp/hcl/v2"
)

// link resolves what the blocks say of each other, once all are known.
func (l *loader) link() {
	l.nameServed()
	inherited := map[*station][]string{}
	for _, s := range l.stations.order {
		inherited[s] = l.publishing(s.listeners)
	}
	for _, s := range l.services.order {
		if s.inherits != nil {
			s.Listeners = inherited[s.inherits]
			continue
		}
		s.Listeners = l.publishing(s.listeners)
	}
	l.checkMappers()
	l.checkDevices()
	l.checkAgents()
	l.checkPublished()
	l.checkWebsites()
	l.checkIdentity()
}

// nameServed checks the services that listeners name.
func (l *loader) nameServed() {
	for _, from := range l.listeners.order {
		if name := from.service; name.text != "" && l.services.byName[name.text] == nil {
			l.missing(name.at, "Unknown service", "%sthere is no service of this name.%s", l.source(name.at), didYouMean(name.text, l.services.names()))
		}
	}
}

// publishing returns the names of the listeners that references lead to.
func (l *loader) publishing(references []item) []string {
	var names []string
	for _, reference := range references {
		name := strings.ToLower(reference.text)
		found := l.listeners.byName[name]
		switch {
		case found == nil:
			l.missing(reference.at, "Unknown listener", "%sthere is no listener of this name.%s", l.source(reference.at), didYouMean(name, l.listeners.names()))
		case found.Protocol == "": // reported already
		case found.protocol.linked != "":
			l.fail(reference.at, "Listener for "+found.protocol.linked, `A listener of protocol %q has no clients: %s dial in.`, found.Protocol, found.protocol.linked)
		case !found.protocol.names:
			l.fail(reference.at, "Listener serves one service", "A listener of protocol %q names its service itself, with its argument %q.",
				found.Protocol, "service")
		case slices.Contains(names, name):
			l.fail(reference.at, "Listener named twice", "%sthis listener is in the list already.", l.source(reference.at))
		default:
			names = append(names, name)
		}
	}
	return names
}

// checkPublished warns of services that nobody can reach.
func (l *loader) checkPublished() {
	for _, s := range l.services.order {
		if !s.listed && len(l.serving(s)) == 0 {
			l.warn(s.header, "Service published nowhere", `It lists no "listeners", and no listener of protocol "tcp" names it.`)
		}
	}
}

// checkWebsites reports websites that no listener has which could be a proxy.
func (l *loader) checkWebsites() {
	for _, s := range l.services.order {
		isProxy := func(by *listener) bool { return slices.Contains(webOnly, strconv.Quote(by.Protocol)) }
		if s.website != nil && !slices.ContainsFunc(l.serving(s), isProxy) {
			l.missing(*s.website, "Website without a proxy", `No listener of protocol "https" or "http" publishes the service: list one in "listeners".`)
		}
	}
}

// serving returns the listeners by which a service can be reached.
func (l *loader) serving(s *service) []*listener {
	var serving []*listener
	for _, from := range l.listeners.order {
		if from.Service == s.Name || slices.Contains(s.Listeners, from.Name) {
			serving = append(serving, from)
		}
	}
	return serving
}

// checkIdentity warns of rules that need an identity where none is ever known.
func (l *loader) checkIdentity() {
	l.warnAnonymous(l.globalIdentity, l.listeners.order)
	serving := map[*Station][]*listener{}
	for _, s := range l.services.order {
		by := l.serving(s)
		l.warnAnonymous(s.identity, by)
		serving[s.Station] = append(serving[s.Station], by...)
	}
	for _, s := range l.stations.order {
		l.warnAnonymous(s.identity, serving[s.Station])
	}
	for _, a := range l.agents.order {
		l.warnAnonymous(a.identity, l.publishers(a))
	}
}

func (l *loader) warnAnonymous(rules []hcl.Range, listeners []*listener) {
	if len(listeners) == 0 || slices.ContainsFunc(listeners, func(by *listener) bool { return by.protocol.identifies }) {
		return
	}
	for _, at := range rules {
		l.warn(at, "Rule needs an identity", "No listener that this rule is for can tell who the client is, so it never matches.")
	}
}

// listenersThat returns the names of the listeners that are wanted.
func (l *loader) listenersThat(wanted func(*listener) bool) []string {
	var names []string
	for _, from := range l.listeners.order {
		if wanted(from) {
			names = append(names, from.Name)
		}
	}
	return names
}
