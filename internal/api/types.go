package api

import (
	"encoding/json"
	"net/netip"
	"strings"
	"time"

	"jackfield"
)

// Health says whether the server accepts clients.
type Health struct {
	Status string `json:"status" enum:"ok,stopping"`
}

// A Version says what runs.
type Version struct {
	Version string `json:"version" doc:"of the server"`
	API     string `json:"api" doc:"of this interface" example:"v1"`
}

// Status describes a running server.
type Status struct {
	Version string    `json:"version"`
	PID     int       `json:"pid"`
	Started time.Time `json:"started"`
	Node    string    `json:"node" doc:"its name in a cluster; empty without one"`
}

// A Session is one stream between a client and a service.
type Session struct {
	ID               string         `json:"id"`
	Listener         string         `json:"listener"`
	Protocol         string         `json:"protocol" doc:"what that listener speaks"`
	Source           netip.AddrPort `json:"source" doc:"the client's address and port; empty if unknown"`
	User             string         `json:"user" doc:"empty for nobody in particular"`
	Service          string         `json:"service"`
	Route            string         `json:"route" doc:"in the configuration's words; empty for callers who are no administrators"`
	Started          time.Time      `json:"started"`
	BytesFromClient  int64          `json:"bytes_from_client"`
	BytesFromService int64          `json:"bytes_from_service"`

	// Rate is absent until it can be told: the server looks at sessions when somebody asks, and not in between.
	Rate *Rate `json:"rate,omitempty" doc:"over the last seconds; absent the first time that somebody asks"`
}

// A Rate is how fast bytes come, in bytes per second.
type Rate struct {
	FromClient  float64 `json:"from_client" doc:"bytes per second"`
	FromService float64 `json:"from_service" doc:"bytes per second"`
}

// A SessionList is a part of the sessions that are open, the oldest first.
type SessionList struct {
	Sessions []Session `json:"sessions"`
	Next     string    `json:"next,omitempty" doc:"the cursor of the list's next part; absent at its end"`
}

// A Disconnection is a session that was told to end.
type Disconnection struct {
	ID string `json:"id"`
}

// A Device is a machine that dials in and serves.
type Device struct {
	Name           string          `json:"name"`
	Connected      bool            `json:"connected"`
	Since          *time.Time      `json:"since,omitempty" doc:"when it connected"`
	Listener       string          `json:"listener,omitempty" doc:"that it came to"`
	Source         *netip.AddrPort `json:"source,omitempty" doc:"its address and port"`
	Streams        int             `json:"streams" doc:"open now"`
	Opened         int64           `json:"opened" doc:"streams since it connected"`
	ProtocolErrors int64           `json:"protocol_errors"`
	Stalled        int64           `json:"stalled" doc:"streams that were cut because they held up the others"`
}

// A DeviceList is a part of the devices of the configuration, by name.
type DeviceList struct {
	Devices []Device `json:"devices"`
	Next    string   `json:"next,omitempty" doc:"the cursor of the list's next part; absent at its end"`
}

// A Question is a request that nobody makes: what would become of it?
type Question struct {
	Service  string     `json:"service" doc:"full name" example:"console.fpga-1"`
	Listener string     `json:"listener,omitempty" doc:"may be absent where only one publishes the service"`
	Source   netip.Addr `json:"source" doc:"the client's address"`
	User     string     `json:"user,omitempty" doc:"absent: nobody in particular"`
	Groups   []string   `json:"groups,omitempty"`
	Time     time.Time  `json:"time,omitzero" doc:"when the connection would come; absent: now"`
	Mappers  bool       `json:"mappers,omitempty" doc:"ask the mappers, too: this starts programs"`
}

// An Explanation is what would become of a request, and why.
type Explanation struct {
	Listener string  `json:"listener"`
	Service  string  `json:"service"`
	Verdict  string  `json:"verdict" enum:"allowed,denied,undecided" doc:"undecided: a mapper would be asked"`
	Checks   []Check `json:"checks" doc:"in the order in which they are made"`
}

// A Check is one question of the pipeline and its answer.
type Check struct {
	Step    int    `json:"step"`
	Place   string `json:"place" example:"listener.mux"`
	Subject string `json:"subject" example:"rules"`
	Outcome string `json:"outcome" example:"passed"`
	By      string `json:"by" doc:"who decided; may be empty" example:"acl.global[2]"`
	Reason  string `json:"reason"`
}

// Reloaded says what a reload has done.
type Reloaded struct {
	Generation int    `json:"generation" doc:"counts the configurations since the start, which is 1"`
	Cut        int    `json:"cut" doc:"sessions that were cut because the new rules forbid them"`
	Warnings   string `json:"warnings" lines:"true" doc:"about the new configuration, for people"`
}

// Problems are what is wrong with a configuration.
type Problems struct {
	Valid    bool                   `json:"valid" doc:"it could be put to work: no problem is an error"`
	Problems []ConfigurationProblem `json:"problems" doc:"in the order in which they were found"`
}

// A ConfigurationProblem is one thing that is wrong with a configuration.
type ConfigurationProblem struct {
	Severity string `json:"severity" enum:"error,warning"`
	Message  string `json:"message" lines:"true" doc:"what is wrong and what to do; holds no secret"`
	File     string `json:"file,omitempty"`
	Line     int    `json:"line,omitempty" doc:"the first one is 1"`
}

// A State is whether a service can be reached now.
type State string

// The states of services.
const (
	Available State = "available" // as far as the server knows
	Away      State = "away"      // the device that it is on is not connected
	Unknown   State = "unknown"   // the server does not watch it
)

// A Service is a named endpoint.
type Service struct {
	Name     jackfield.Name `json:"name"`
	Station  string         `json:"station,omitempty" doc:"that it belongs to"`
	State    State          `json:"state" enum:"available,away,unknown" doc:"away: the device that it is on is not connected; unknown: the server does not watch it"`
	Reach    []Reach        `json:"reach" doc:"how to reach it"`
	Sessions int            `json:"sessions" doc:"open now"`
	Route    string         `json:"route,omitempty" doc:"in the configuration's words; only administrators see it"`
}

// A Reach is one way to a service.
type Reach struct {
	Listener string `json:"listener"`
	Protocol string `json:"protocol" example:"tcpmux"`
	Address  string `json:"address" doc:"where the listener listens; an address such as 0.0.0.0 stands for all that the server has" example:"192.0.2.1"`
	Port     int    `json:"port"`
	Name     string `json:"name,omitempty" doc:"by which to ask for the service there; absent where the port alone says it"`
}

// A ServiceList is a part of the services that the caller may see, by name.
type ServiceList struct {
	Services []Service `json:"services"`
	Next     string    `json:"next,omitempty" doc:"the cursor of the list's next part; absent at its end"`
}

// A Station is a set of services that is leased as one unit.
type Station struct {
	Name     string    `json:"name"`
	Lease    string    `json:"lease" doc:"how it is leased, in the configuration's words" example:"none"`
	State    State     `json:"state" enum:"available,away,unknown" doc:"available: all its services are; away: one of them is"`
	Services []Service `json:"services" doc:"those that the caller may see"`
	Sessions int       `json:"sessions" doc:"open now"`
}

// A StationList is a part of the stations of which the caller may see a service, by name.
type StationList struct {
	Stations []Station `json:"stations"`
	Next     string    `json:"next,omitempty" doc:"the cursor of the list's next part; absent at its end"`
}

// An AuditRecord is one line of the audit, as the audit file has it. Those who are no administrators get fewer fields of it.
type AuditRecord json.RawMessage

// MarshalJSON returns the line.
func (r AuditRecord) MarshalJSON() ([]byte, error) { return json.RawMessage(r).MarshalJSON() }

// UnmarshalJSON keeps the line.
func (r *AuditRecord) UnmarshalJSON(text []byte) error {
	return (*json.RawMessage)(r).UnmarshalJSON(text)
}

// An AuditList is a part of the audit, the newest first.
type AuditList struct {
	Records []AuditRecord `json:"records"`
	Next    string        `json:"next,omitempty" doc:"the cursor of the next part, which may be there even if this one has no records; absent at the end"`
}

// A Duration is a time span, in JSON a string such as "1h30m".
type Duration time.Duration

const durationPattern = `^([0-9]+(\.[0-9]+)?(ms|s|m|h))+$`

// MarshalText writes the duration without units that are zero.
func (d Duration) MarshalText() ([]byte, error) {
	text := time.Duration(d).String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return []byte(text), nil
}

// UnmarshalText reads what time.ParseDuration does, if it is more than nothing.
func (d *Duration) UnmarshalText(text []byte) error {
	parsed, err := time.ParseDuration(string(text))
	if err != nil || parsed <= 0 {
		return &fieldError{"a duration is a text such as \"90s\" or \"720h\", and more than nothing"}
	}
	*d = Duration(parsed)
	return nil
}
