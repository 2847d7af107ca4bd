package api

import (
	"net/http"

	"jackfield/internal/identity"
)

var tagDescriptions = map[string]string{
	"server":        "What runs, and what it knows of itself.",
	"account":       "Proving who you are, and knowing who you are taken for.",
	"services":      "Services and stations that the caller may use. What may not be seen reads like what does not exist.",
	"sessions":      "The streams that are open: administrators see all, others their own.",
	"events":        "Changes as they happen, as server-sent events.",
	"audit":         "What happened: administrators see all, others their own records, without the rules that decided.",
	"users":         "Users and groups.",
	"tokens":        "Tokens that prove who their bearer is.",
	"certificates":  "The server's own certificate authority and what it has signed.",
	"devices":       "Machines that dial in and speak the Mihini protocol.",
	"agents":        "Machines that run `jackfield agent` and offer services.",
	"configuration": "The configuration, and what would become of a request by it.",
	"state":         "What the server keeps.",
}

// operations is the table of all that can be done: the one place that says so.
func operations() []*operation {
	var table []*operation
	for _, part := range [][]*operation{
		serverOperations, serviceOperations, sessionOperations, recordOperations, userOperations, tokenOperations,
		certificateOperations, deviceOperations, agentOperations, configurationOperations,
	} {
		table = append(table, part...)
	}
	return table
}

var serverOperations = []*operation{
	{
		method: http.MethodGet, path: "/health", id: "getHealth", tag: "server",
		summary: "Whether the server accepts clients",
		access:  forAll, answer: Health{}, serve: getHealth,
	},
	{
		method: http.MethodGet, path: "/openapi.json", id: "getDocument", tag: "server",
		summary: "This document, for programs",
		access:  forAll, answer: map[string]any{}, tagged: true, serve: getDocument,
	},
	{
		method: http.MethodGet, path: "/version", id: "getVersion", tag: "server", summary: "What runs",
		access: forCaller, answer: Version{}, tagged: true, serve: getVersion,
	},
	{
		method: http.MethodGet, path: "/status", id: "getStatus", tag: "server", summary: "The server's process",
		access: forCaller, scope: identity.Read, answer: Status{}, tagged: true, serve: getStatus,
	},
	{
		method: http.MethodPost, path: "/login", id: "login", tag: "account",
		summary: "Get a token by password or one-time token",
		more:    "A wrong password is answered as an unknown user is; who tries too often is told to wait (429).",
		access:  forAll, body: Login{}, status: http.StatusCreated,
		answer: Grant{}, refusals: []int{http.StatusUnauthorized}, serve: login,
	},
	{
		method: http.MethodPost, path: "/logout", id: "logout", tag: "account",
		summary: "Revoke the token that this call is made with",
		access:  forCaller, refusals: []int{http.StatusConflict}, serve: logout,
	},
	{
		method: http.MethodGet, path: "/me", id: "getMe", tag: "account", summary: "Who the caller is",
		access: forCaller, answer: Me{}, tagged: true, serve: getMe,
	},
}

var serviceOperations = []*operation{
	{
		method: http.MethodGet, path: "/services", id: "listServices", tag: "services",
		summary: "The services that the caller may see",
		access:  forCaller, scope: identity.Read, answer: ServiceList{}, paged: true, tagged: true, serve: listServices,
	},
	{
		method: http.MethodGet, path: "/services/{name}", id: "getService", tag: "services", summary: "One service",
		access: forCaller, scope: identity.Read, target: "service", answer: Service{}, tagged: true, serve: getService,
	},
	{
		method: http.MethodGet, path: "/stations", id: "listStations", tag: "services",
		summary: "The stations of which the caller may see a service",
		access:  forCaller, scope: identity.Read, answer: StationList{}, paged: true, tagged: true, serve: listStations,
	},
	{
		method: http.MethodGet, path: "/stations/{name}", id: "getStation", tag: "services", summary: "One station",
		access: forCaller, scope: identity.Read, target: "station", answer: Station{}, tagged: true, serve: getStation,
	},
}

var sessionOperations = []*operation{
	{
		method: http.MethodGet, path: "/sessions", id: "listSessions", tag: "sessions",
		summary: "The sessions that are open, the oldest first",
		access:  forCaller, scope: identity.Read, answer: SessionList{}, paged: true, tagged: true, serve: listSessions,
	},
	{
		method: http.MethodGet, path: "/sessions/{id}", id: "getSession", tag: "sessions", summary: "One session",
		access: forCaller, scope: identity.Read, target: "session", answer: Session{}, tagged: true, serve: getSession,
	},
	{
		method: http.MethodDelete, path: "/sessions/{id}", id: "disconnect", tag: "sessions", summary: "End a session",
		more:   "The answer says that it was told to end, not that it has.",
		access: forCaller, scope: identity.Write, target: "session", query: []parameter{reasonParameter},
		status: http.StatusOK, answer: Disconnection{}, serve: deleteSession,
	},
}

var reasonParameter = parameter{"reason", "why, for the audit: one line", schema{"type": "string", "maxLength": maxReason}}

var recordFilters = []parameter{
	{"since", "records of this time and later", schema{"type": "string", "format": "date-time"}},
	{"until", "records before this time", schema{"type": "string", "format": "date-time"}},
	{"event", "kinds of records, with commas between them: open, close, refuse, call, lost, suppressed", filterSchema},
	{"service", "a name or pattern, such as `console.*`", filterSchema},
	{
		"user", "of that user, and of logins that were refused to somebody who claimed to be: of those user is empty, and target the " +
			"claim; those who are no administrators get their own anyway", filterSchema,
	},
	{"source", "from that address or network", filterSchema},
	{"listener", "that came to that listener", filterSchema},
	{"id", "of that session or call", filterSchema},
	{"end", "that ended for that reason", filterSchema},
}

var filterSchema = schema{"type": "string", "maxLength": maxFilter}

var recordOperations = []*operation{
	{
		method: http.MethodGet, path: "/audit", id: "listRecords", tag: "audit", summary: "What happened, the newest first",
		more:   "A part may be empty and yet have a next one: how much is looked at for one answer is bounded.",
		access: forCaller, scope: identity.Read, query: recordFilters,
		answer: AuditList{}, paged: true, tagged: true, serve: listRecords,
	},
	{
		method: http.MethodGet, path: "/audit/follow", id: "followRecords", tag: "audit",
		summary: "What happens, as it happens",
		more:    "Begins with what comes from now on, or after Last-Event-ID, which may be any cursor of the audit.",
		access:  forCaller, scope: identity.Read, query: recordFilters,
		events: []string{"record"}, eventData: AuditRecord{}, stream: followRecords,
	},
	{
		method: http.MethodGet, path: "/events", id: "followEvents", tag: "events", summary: "Changes, as they happen",
		more: "After Last-Event-ID, what came since then is sent first. `reset` says that events are missing: read the lists anew. " +
			"`end` is the last event and says why. A comment comes every 15 s when nothing else does.",
		access: forCaller, scope: identity.Read, events: eventNames(), eventData: Event{}, stream: followEvents,
	},
}

func eventNames() []string {
	var names []string
	for _, t := range eventTypes {
		names = append(names, string(t))
	}
	return names
}

var userOperations = []*operation{
	{
		method: http.MethodGet, path: "/users", id: "listUsers", tag: "users", summary: "All users",
		access: forAdmin, scope: identity.Admin, answer: UserList{}, paged: true, tagged: true, serve: listUsers,
	},
	{
		method: http.MethodPost, path: "/users", id: "addUser", tag: "users", summary: "Add a user",
		access: forAdmin, scope: identity.Admin, body: NewUser{}, status: http.StatusCreated, answer: User{}, tagged: true,
		refusals: []int{http.StatusConflict}, serve: addUser,
	},
	{
		method: http.MethodGet, path: "/users/{name}", id: "getUser", tag: "users", summary: "One user",
		more:   "Users see themselves, administrators all.",
		access: forCaller, scope: identity.Read, target: "user", answer: User{}, tagged: true, serve: getUser,
	},
	{
		method: http.MethodPatch, path: "/users/{name}", id: "changeUser", tag: "users", summary: "Change a user",
		access: forAdmin, scope: identity.Admin, target: "user", body: UserChange{},
		answer: User{}, tagged: true, guarded: true,
		refusals: []int{http.StatusConflict}, serve: changeUser,
	},
	{
		method: http.MethodDelete, path: "/users/{name}", id: "removeUser", tag: "users",
		summary: "Remove a user with all tokens",
		access:  forAdmin, scope: identity.Admin, target: "user", guarded: true,
		refusals: []int{http.StatusConflict}, serve: deleteUser,
	},
	{
		method: http.MethodPut, path: "/users/{name}/password", id: "setPassword", tag: "users", summary: "Set a password",
		more:   "Users set their own and give the present one; administrators set anybody's.",
		access: forCaller, scope: identity.Write, target: "user", body: PasswordChange{}, guarded: true,
		refusals: []int{http.StatusConflict}, serve: setPassword,
	},
	{
		method: http.MethodGet, path: "/groups", id: "listGroups", tag: "users", summary: "All groups",
		access: forAdmin, scope: identity.Admin, answer: GroupList{}, paged: true, tagged: true, serve: listGroups,
	},
	{
		method: http.MethodGet, path: "/groups/{name}", id: "getGroup", tag: "users", summary: "One group",
		access: forAdmin, scope: identity.Admin, target: "group", answer: Group{}, tagged: true, serve: getGroup,
	},
	{
		method: http.MethodPut, path: "/groups/{name}/members/{user}", id: "addMember", tag: "users",
		summary: "Put a user into a group",
		more:    "A group is there as long as it has a member. That the user is in it already is fine.",
		access:  forAdmin, scope: identity.Admin, target: "group", refusals: []int{http.StatusConflict}, serve: addMember,
	},
	{
		method: http.MethodDelete, path: "/groups/{name}/members/{user}", id: "removeMember", tag: "users",
		summary: "Take a user out of a group",
		access:  forAdmin, scope: identity.Admin, target: "group", refusals: []int{http.StatusConflict}, serve: removeMember,
	},
}

var tokenOperations = []*operation{
	{
		method: http.MethodGet, path: "/tokens", id: "listTokens", tag: "tokens",
		summary: "The caller's tokens, or those of a user",
		more:    "On the Unix socket, where the caller is no user, those of all users.",
		access:  forCaller, scope: identity.Read, query: []parameter{{"user", "whose; others' are for administrators", filterSchema}},
		answer: TokenList{}, paged: true, tagged: true, serve: listTokens,
	},
	{
		method: http.MethodPost, path: "/tokens", id: "addToken", tag: "tokens", summary: "Make a token",
		access: forCaller, scope: identity.Write, body: NewToken{}, status: http.StatusCreated, answer: Grant{},
		refusals: []int{http.StatusNotFound, http.StatusConflict}, serve: addToken,
	},
	{
		method: http.MethodGet, path: "/tokens/{id}", id: "getToken", tag: "tokens",
		summary: "One token, without its secret",
		access:  forCaller, scope: identity.Read, target: "token", answer: Token{}, tagged: true, serve: getToken,
	},
	{
		method: http.MethodDelete, path: "/tokens/{id}", id: "removeToken", tag: "tokens", summary: "Revoke a token",
		more:   "What is done with it ends within a second.",
		access: forCaller, scope: identity.Write, target: "token", serve: deleteToken,
	},
}

var certificateOperations = []*operation{
	{
		method: http.MethodGet, path: "/certificates/authority", id: "getAuthority", tag: "certificates",
		summary: "What clients need to trust",
		access:  forAll, answer: Authority{}, tagged: true, serve: getAuthority,
	},
	{
		method: http.MethodPost, path: "/certificates/authority/rotate", id: "rotateAuthority", tag: "certificates",
		summary: "Make a new authority",
		more:    "What the old one has signed stays good for a time.",
		access:  forAdmin, scope: identity.Admin, status: http.StatusOK,
		answer: Authority{}, refusals: []int{http.StatusConflict}, serve: rotateAuthority,
	},
	{
		method: http.MethodPost, path: "/certificates/authority/retire", id: "retireAuthority", tag: "certificates",
		summary: "Stop accepting the authority before the present one",
		more:    "Its certificates are void from then on, and clients that trust nothing else do not know this server any more. Without one, nothing changes.",
		access:  forAdmin, scope: identity.Admin, status: http.StatusOK,
		answer: Authority{}, serve: retireAuthority,
	},
	{
		method: http.MethodGet, path: "/certificates", id: "listCertificates", tag: "certificates",
		summary: "The certificates that were issued",
		access:  forAdmin, scope: identity.Admin,
		answer: CertificateList{}, paged: true, tagged: true, serve: listCertificates,
	},
	{
		method: http.MethodPost, path: "/certificates", id: "issueCertificate", tag: "certificates",
		summary: "Issue a certificate for a user or a device",
		access:  forAdmin, scope: identity.Admin, body: CertificateRequest{}, status: http.StatusCreated,
		answer:   IssuedCertificate{},
		refusals: []int{http.StatusNotFound}, serve: issueCertificate,
	},
	{
		method: http.MethodDelete, path: "/certificates/{serial}", id: "revokeCertificate", tag: "certificates",
		summary: "Revoke a certificate",
		more:    "What is done with it ends within a second.",
		access:  forAdmin, scope: identity.Admin, target: "certificate", serve: revokeCertificate,
	},
}

var deviceOperations = []*operation{
	{
		method: http.MethodGet, path: "/devices", id: "listDevices", tag: "devices",
		summary: "The devices of the configuration",
		access:  forAdmin, scope: identity.Admin, answer: DeviceList{}, paged: true, tagged: true, serve: listDevices,
	},
	{
		method: http.MethodGet, path: "/devices/{name}", id: "getDevice", tag: "devices", summary: "One device",
		access: forAdmin, scope: identity.Admin, target: "device", answer: Device{}, tagged: true, serve: getDevice,
	},
	{
		method: http.MethodDelete, path: "/devices/{name}/link", id: "cutDevice", tag: "devices",
		summary: "Cut a device's link",
		more:    "Its streams end. It may dial in again.",
		access:  forAdmin, scope: identity.Admin, target: "device", query: []parameter{reasonParameter}, serve: cutDevice,
	},
}

var agentOperations = []*operation{
	{
		method: http.MethodGet, path: "/agents", id: "listAgents", tag: "agents",
		summary: "The agents that were enrolled, and those of the configuration",
		access:  forAdmin, scope: identity.Admin, answer: AgentList{}, paged: true, tagged: true, serve: listAgents,
	},
	{
		method: http.MethodPost, path: "/agents", id: "enrollAgent", tag: "agents", summary: "Enrol an agent",
		more:   "The answer has the one-time token by which it joins. For an agent that has not joined yet, it replaces the one before.",
		access: forAdmin, scope: identity.Admin, body: NewAgent{}, status: http.StatusCreated, answer: Enrolment{},
		refusals: []int{http.StatusNotFound, http.StatusConflict}, serve: enrollAgent,
	},
	{
		method: http.MethodPost, path: "/agents/join", id: "joinAgent", tag: "agents", summary: "Join as an agent that was enrolled",
		more: "The token says which. What is asked for is a certificate, with which the agent is known from then on. Who tries " +
			"wrong tokens too often is told to wait (429).",
		access: forAll, body: AgentJoin{}, status: http.StatusCreated, answer: AgentMembership{},
		refusals: []int{http.StatusUnauthorized, http.StatusConflict}, serve: joinAgent,
	},
	{
		method: http.MethodGet, path: "/agents/{name}", id: "getAgent", tag: "agents", summary: "One agent",
		access: forAdmin, scope: identity.Admin, target: "agent", answer: Agent{}, tagged: true, serve: getAgent,
	},
	{
		method: http.MethodPatch, path: "/agents/{name}", id: "changeAgent", tag: "agents", summary: "Change or rename an agent",
		access: forAdmin, scope: identity.Admin, target: "agent", body: AgentChange{}, answer: Agent{},
		refusals: []int{http.StatusConflict}, serve: changeAgent,
	},
	{
		method: http.MethodDelete, path: "/agents/{name}", id: "removeAgent", tag: "agents", summary: "Remove an agent",
		more:   "Its certificate is void, and its link is cut.",
		access: forAdmin, scope: identity.Admin, target: "agent", refusals: []int{http.StatusConflict}, serve: deleteAgent,
	},
	{
		method: http.MethodPost, path: "/agents/{name}/drain", id: "drainAgent", tag: "agents",
		summary: "Have an agent end when its streams have",
		more:    "It takes no new ones. Its service manager starts it again.",
		access:  forAdmin, scope: identity.Admin, target: "agent", query: []parameter{reasonParameter}, status: http.StatusNoContent,
		refusals: []int{http.StatusConflict}, serve: drainAgent,
	},
	{
		method: http.MethodPost, path: "/agents/{name}/reload", id: "reloadAgent", tag: "agents",
		summary: "Have an agent read its configuration again",
		more:    "A refusal says what is wrong with it; the old one then stays at work.",
		access:  forAdmin, scope: identity.Admin, target: "agent", status: http.StatusNoContent, serve: reloadAgent,
	},
	{
		method: http.MethodPost, path: "/agents/{name}/tunnel", id: "openTunnel", tag: "agents",
		summary: "Have an agent open a Mihini tunnel",
		more:    "This sends TCPRemoteConnect. The agent's own list of what it may dial decides. The answer comes when the tunnel is up.",
		access:  forAdmin, scope: identity.Admin, target: "agent", body: AgentTunnel{}, status: http.StatusNoContent, serve: openTunnel,
	},
}

var configurationOperations = []*operation{
	{
		method: http.MethodPost, path: "/why", id: "why", tag: "configuration", summary: "What would become of a request",
		access: forAdmin, scope: identity.Admin, body: Question{}, status: http.StatusOK, answer: Explanation{},
		refusals: []int{http.StatusNotFound}, serve: why,
	},
	{
		method: http.MethodPost, path: "/configuration/check", id: "checkConfiguration", tag: "configuration",
		summary: "What is wrong with a configuration",
		more:    "Without a body, it is about the file that a reload would read.",
		access:  forAdmin, scope: identity.Admin, bodyTypes: []string{configurationType, "text/plain"}, bodyMayMiss: true,
		status: http.StatusOK, answer: Problems{}, serve: checkConfiguration,
	},
	{
		method: http.MethodPost, path: "/configuration/reload", id: "reload", tag: "configuration",
		summary: "Put the configuration file to work",
		more:    "A refusal says all that is wrong with it; the old one then stays at work.",
		access:  forAdmin, scope: identity.Admin, status: http.StatusOK, answer: Reloaded{}, serve: reload,
	},
	{
		method: http.MethodGet, path: "/backup", id: "backup", tag: "state", summary: "All that the server keeps",
		more:   "It holds the authority's key and the hashes of passwords and tokens: guard it. An answer that breaks off is no backup.",
		access: forAdmin, scope: identity.Admin, answerType: backupType, serve: backup,
	},
	{
		method: http.MethodPost, path: "/restore", id: "restore", tag: "state", summary: "Put a backup back",
		access: forAdmin, scope: identity.Admin, bodyTypes: []string{backupType}, serve: restore,
	},
}
