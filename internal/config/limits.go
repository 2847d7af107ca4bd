package config

import "jackfield/internal/access"

const maxCount = 10_000_000 // of sessions

// limitAttributes stand at the top, in listeners and in services.
var limitAttributes = []attribute{
	{
		name: "max_sessions", kind: count{1, maxCount}, changes: newSessions,
		doc: "How many sessions may be open at once. Unset: no limit.",
	},
	{
		name: "max_sessions_per_source", kind: count{1, maxCount}, changes: newSessions,
		doc: "How many of them one source may have: an IPv4 address, or an IPv6 network of 64 bits. Unset: no limit.",
	},
	{
		name: "max_rate", kind: frequency{}, changes: newSessions,
		doc: "How fast sessions may open. After a pause, the number of one period may open at once. Unset: no limit.",
	},
	{
		name: "max_rate_per_source", kind: frequency{}, changes: newSessions,
		doc: "How fast one source may open sessions. Unset: no limit.",
	},
	{
		name: "max_sessions_message", kind: text{what: "string of printable ASCII, up to 200 bytes", check: checkMessage}, changes: newSessions,
		doc: "What a client is told when a limit of this block refuses it. Unset: the message at the top, if there is one, or a sentence of the server's own.",
	},
}

func (s *section) limits() access.Limits {
	return access.Limits{
		MaxSessions:          s.count("max_sessions"),
		MaxSessionsPerSource: s.count("max_sessions_per_source"),
		Rate:                 s.rate("max_rate"),
		RatePerSource:        s.rate("max_rate_per_source"),
		Message:              s.text("max_sessions_message"),
	}
}
