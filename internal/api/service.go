package api

import (
	"cmp"
	"slices"
	"strings"

	"jackfield"
)

// services are those that the caller may see, by name.
func (c *call) services() []Service {
	seen := slices.Clone(c.server.Services.Services(c.ctx, Viewer{
		Identity: c.who.Identity, Source: c.record.Source.Addr(), Admin: c.who.Admin,
	}))
	open := make(map[string]int)
	for _, s := range c.server.Sessions.List() {
		open[s.Service]++
	}
	for i := range seen {
		s := &seen[i]
		s.Station = s.Name.Station()
		s.Sessions = open[string(s.Name)]
		s.Reach = list(slices.SortedFunc(slices.Values(s.Reach), func(a, b Reach) int {
			return cmp.Or(cmp.Compare(a.Listener, b.Listener), cmp.Compare(a.Address, b.Address), cmp.Compare(a.Port, b.Port))
		}))
		if !c.who.Admin {
			s.Route = ""
		}
	}
	slices.SortFunc(seen, func(a, b Service) int { return cmp.Compare(a.Name, b.Name) })
	return seen
}

func listServices(c *call) (any, error) {
	part, next, err := paginate(c, c.services(), func(s Service) string { return string(s.Name) })
	return ServiceList{part, next}, err
}

func getService(c *call) (any, error) {
	name := jackfield.Name(strings.ToLower(c.r.PathValue("name")))
	for _, s := range c.services() {
		if s.Name == name {
			return s, nil
		}
	}
	return nil, notFound("there is no such service")
}

// stations are made of the services that the caller may see.
func (c *call) stations() []Station {
	var stations []Station
	index := make(map[string]int)
	for _, s := range c.services() {
		if s.Station == "" {
			continue
		}
		i, there := index[s.Station]
		if !there {
			i = len(stations)
			index[s.Station] = i
			stations = append(stations, Station{
				Name: s.Station, Lease: c.server.Services.Lease(s.Station), State: Available,
			})
		}
		stations[i].add(s)
	}
	return stations
}

// add makes the station no better than its worst service.
func (t *Station) add(s Service) {
	t.Services = append(t.Services, s)
	t.Sessions += s.Sessions
	if s.State == Away || t.State == Available {
		t.State = s.State
	}
}

func listStations(c *call) (any, error) {
	part, next, err := paginate(c, c.stations(), func(t Station) string { return t.Name })
	return StationList{part, next}, err
}

func getStation(c *call) (any, error) {
	name := strings.ToLower(c.r.PathValue("name"))
	for _, t := range c.stations() {
		if t.Name == name {
			return t, nil
		}
	}
	return nil, notFound("there is no such station")
}
