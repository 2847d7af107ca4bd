package config

import (
	"errors"
	"slices"

	"github.com/hashicorp/hcl/v2"
)

var stationBlock = &block{
	name:  "station",
	label: "NAME",
	doc: "A set of services that is leased as one unit. Its name is a DNS label. Its rules come before those of the service, and both must allow. " +
		"What it says of programs holds for those of its services.",
	changes: newSessions,
	attributes: slices.Concat([]attribute{
		{
			name: "lease", kind: text{what: "`\"none\"`", check: checkLease}, required: true,
			doc: "How its use is shared. Leases are not built yet: `\"none\"` is the only possible value, and it must be written.",
		},
		{
			name: "listeners", kind: list{of: "listener names"},
			doc: "The listeners, of protocol `tcpmux`, `https` or `http`, that publish those of its services that list none.",
		},
		{
			name: "description", kind: text{what: "string, up to 200 bytes", check: checkDescription},
			doc: "For people.",
		},
		mapperAttribute,
	}, userAttributes, programAttributes),
	blocks: []*block{ruleBlock, serviceBlock, resourcesBlock},
}

// station is a Station with what is needed to check references.
type station struct {
	*Station
	listeners []item
	listed    bool
	identity  []hcl.Range
}

func (s *section) station() (*Station, []*Service) {
	set := s.rules(place{})
	out := &Station{
		Name:        s.labelName(),
		Description: s.text("description"),
		Lease:       s.text("lease"),
		Rules:       set.rules,
		Mapper:      s.mapperName(),
		Program:     s.program(),
		Where:       s.where(s.header),
	}
	declared := &station{Station: out, listeners: s.list("listeners"), listed: s.has("listeners"), identity: set.identity}
	if first, again := s.stations.add(out.Name, s.label.at, declared); again {
		s.duplicate("station", s.label.at, first)
	}
	var services []*Service
	for _, inner := range s.each(serviceBlock) {
		services = append(services, inner.service(declared))
	}
	return out, services
}

func checkLease(s string) error {
	if s != "none" {
		return errors.New(`leases are not built yet: "none" is the only possible value`)
	}
	return nil
}
