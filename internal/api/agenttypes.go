package api

import (
	"net/netip"
	"time"
)

// AgentState is whether an agent can be reached now.
type AgentState string

// The states of agents.
const (
	AgentWaiting  AgentState = "waiting"   // it has not joined yet
	AgentAway     AgentState = "away"      // it has joined and is not connected
	AgentLinked   AgentState = "connected" // it has a link
	AgentDraining AgentState = "draining"  // it has one, takes no new streams, and ends when those that are open have
)

// An Agent is a machine that runs "jackfield agent" and offers services.
type Agent struct {
	Name  string     `json:"name"`
	State AgentState `json:"state" enum:"waiting,away,connected,draining" doc:"waiting: it has not joined yet; away: it is not connected; draining: it takes no new streams"`

	// Of its enrolment; those of an inbound agent, which the configuration names, are empty.
	Owner        string    `json:"owner" doc:"the user who may use what it offers where the configuration says nothing; empty: administrators alone"`
	Offers       []string  `json:"offers" doc:"patterns of the services that it may offer, besides those in the configuration"`
	Inbound      bool      `json:"inbound" doc:"it is in the configuration, and the server dials it"`
	Created      time.Time `json:"created,omitzero" doc:"when it was first enrolled"`
	CreatedBy    string    `json:"created_by,omitempty" doc:"the user who did that"`
	Enrolled     time.Time `json:"enrolled,omitzero" doc:"when it last joined"`
	WaitingUntil time.Time `json:"waiting_until,omitzero" doc:"when the token that was given out for it expires, or has expired; absent without one"`
	Serial       string    `json:"serial,omitempty" doc:"of its certificate"`

	// Of its link; those of one that is not connected are empty.
	Version           string          `json:"version,omitempty" doc:"of its program"`
	Platform          string          `json:"platform,omitempty" example:"linux/arm64"`
	Source            *netip.AddrPort `json:"source,omitempty" doc:"its address and port"`
	Listener          string          `json:"listener,omitempty" doc:"that it came to"`
	Since             time.Time       `json:"since,omitzero" doc:"when it connected"`
	Latency           float64         `json:"latency,omitempty" doc:"of the last ping, there and back, in seconds; absent before the first"`
	Services          []AgentService  `json:"services" doc:"that it offers"`
	Streams           int             `json:"streams" doc:"open now"`
	Opened            int64           `json:"opened" doc:"streams since it connected"`
	Ready             int             `json:"ready" doc:"connections that are kept for streams to come"`
	BytesFromClients  int64           `json:"bytes_from_clients" doc:"through its streams since it connected"`
	BytesFromServices int64           `json:"bytes_from_services"`
	Rate              *Rate           `json:"rate,omitempty" doc:"over the last seconds; absent the first time that somebody asks"`
}

// An AgentService is a service that an agent offers.
type AgentService struct {
	Name        string `json:"name" example:"console.fpga-1"`
	Description string `json:"description,omitempty" doc:"in the agent's words"`
	Published   bool   `json:"published"`
	Reason      string `json:"reason,omitempty" doc:"why it is not published"`
}

// An AgentList is a part of the agents, by name.
type AgentList struct {
	Agents []Agent `json:"agents"`
	Next   string  `json:"next,omitempty" doc:"the cursor of the list's next part; absent at its end"`
}

// A NewAgent is how an agent is enrolled.
type NewAgent struct {
	Name     string    `json:"name" doc:"a DNS label" maxLength:"63" example:"edge-7"`
	Offers   *[]string `json:"offers,omitempty" doc:"patterns of the services that it may offer, such as console.* or *; absent: as before, or those that have its name as their station" maxItems:"100"`
	Owner    *string   `json:"owner,omitempty" doc:"the user who may use what it offers where the configuration says nothing; absent: as before, or the caller; empty: administrators alone" maxLength:"64"`
	Lifetime Duration  `json:"lifetime,omitempty" doc:"of the token, at most 168h; absent: 1h"`
	Again    bool      `json:"again,omitempty" doc:"the agent has joined already, and shall join anew: its certificate is good until then"`
}

// An Enrolment is the token by which an agent joins, which is never shown again.
type Enrolment struct {
	Token   string    `json:"token" doc:"for \"jackfield agent join\", good once; it is never shown again"`
	Expires time.Time `json:"expires" doc:"of the token"`
	Agent   Agent     `json:"agent"`
}

// An AgentChange is what of an agent shall change; what is absent stays.
type AgentChange struct {
	Name   *string   `json:"name,omitempty" doc:"its new name; the agent connects anew, and keeps its certificate" maxLength:"63"`
	Offers *[]string `json:"offers,omitempty" doc:"all patterns of the services that it may offer" maxItems:"100"`
	Owner  *string   `json:"owner,omitempty" doc:"a user; empty: administrators alone" maxLength:"64"`
}

// An AgentJoin is how an agent becomes the one that was enrolled.
type AgentJoin struct {
	Token   string `json:"token" doc:"that was made when the agent was enrolled; it is used up" maxLength:"200"`
	Request string `json:"request" doc:"PKCS #10 in PEM (RFC 2986); only its key counts" maxLength:"16384"`
}

// An AgentMembership is what an agent needs to be known, and to know the server.
type AgentMembership struct {
	Name        string    `json:"name" doc:"of the agent"`
	Certificate string    `json:"certificate" lines:"true" doc:"in PEM"`
	Expires     time.Time `json:"expires" doc:"of the certificate"`
	Authorities string    `json:"authorities" lines:"true" doc:"the certificates of all authorities that are trusted now, in PEM, the newest first"`
}

// An AgentTunnel is a Mihini tunnel that an agent shall open: the arguments of TCPRemoteConnect. What is absent, its own
// configuration says.
type AgentTunnel struct {
	ServerAddress string `json:"server_address,omitempty" doc:"of the Mihini server" maxLength:"253"`
	ServerPort    int    `json:"server_port,omitempty" minimum:"0" maximum:"65535"`
	LocalAddress  string `json:"local_address,omitempty" doc:"of the service on the agent's side" maxLength:"253"`
	LocalPort     int    `json:"local_port,omitempty" minimum:"0" maximum:"65535"`
}
