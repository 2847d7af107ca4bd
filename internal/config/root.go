package config

import (
	"log/slog"
	"math"
	"slices"
	"time"

	"github.com/hashicorp/hcl/v2"
)

var rootBlock = &block{
	doc: "What stands outside of every block. Its rules and limits hold for every connection, before those of the listener. " +
		"What it says of programs holds for those of every service: see [Programs](#programs).",
	changes: atOnce,
	attributes: slices.Concat([]attribute{
		{
			name: "data_dir", kind: text{what: "path", check: checkPath}, fallback: "/var/lib/jackfield", changes: restart,
			doc: "Where the server keeps its state: the store, unless [store](#store) says otherwise, its certificate authority, `admin.sock` and, unless `audit` says otherwise, the audit.",
		},
		{
			name: "include", kind: list{of: "paths or patterns such as `\"conf.d/*.hcl\"`"},
			doc: "Further files, read as if they stood at the end of this one: in the order of the patterns, the files of each sorted by name. " +
				"A pattern may match nothing; a file that is named without `*`, `?` or `[` must exist. Only the main file includes. `file` and `env` have no place here.",
		},
		{
			name: "watch", kind: boolean{}, fallback: "false",
			doc: "Reload when one of the files changes, or another one comes to match `include`.",
		},
		{
			name: "cut_on_reload", kind: boolean{}, fallback: "false",
			doc: "On a reload, cut the running sessions that the new rules forbid.",
		},
		{
			name: "drain_timeout", kind: duration{0, 24 * time.Hour}, fallback: "10s",
			doc: "How long running sessions may go on when the server is told to stop.",
		},
		mapperAttribute,
	}, limitAttributes, serverUserAttributes, programAttributes),
	blocks: []*block{
		storeBlock, logBlock, auditBlock, adminBlock, resourcesBlock, ruleBlock, listenerBlock, serviceBlock, stationBlock, mapperBlock, deviceBlock, agentBlock,
		userBlock, groupBlock,
	},
}

func (l *loader) decode(body hcl.Body) *Config {
	s := l.open(rootBlock, body, body.MissingItemRange())
	if include := s.attributes["include"]; include != nil && l.problems.order[include.Range.Filename] > 0 {
		s.fail(include.NameRange, "Include in an included file", "Only the main file includes others.")
	}
	c := &Config{
		DataDir:      l.path(s.text("data_dir")),
		Limits:       s.limits(),
		Program:      s.program(),
		Watch:        s.boolean("watch"),
		CutOnReload:  s.boolean("cut_on_reload"),
		DrainTimeout: s.duration("drain_timeout"),
		Mapper:       s.mapperName(),
	}
	c.Store = s.store()
	c.Log = s.log()
	c.Audit = s.audit(c.DataDir)
	c.Admin = s.admin()
	global := s.rules(place{})
	c.Rules = global.rules
	l.globalIdentity = global.identity
	for _, inner := range s.each(listenerBlock) {
		c.Listeners = append(c.Listeners, inner.listener()...)
	}
	for _, inner := range s.each(serviceBlock) {
		c.Services = append(c.Services, inner.service(nil))
	}
	for _, inner := range s.each(stationBlock) {
		station, services := inner.station()
		c.Stations = append(c.Stations, station)
		c.Services = append(c.Services, services...)
	}
	for _, inner := range s.each(mapperBlock) {
		c.Mappers = append(c.Mappers, inner.mapper())
	}
	for _, inner := range s.each(deviceBlock) {
		c.Devices = append(c.Devices, inner.device())
	}
	for _, inner := range s.each(agentBlock) {
		c.Agents = append(c.Agents, inner.agent())
	}
	for _, inner := range s.each(userBlock) {
		c.Users = append(c.Users, inner.user())
	}
	for _, inner := range s.each(groupBlock) {
		c.Groups = append(c.Groups, inner.group())
	}
	return c
}

var logBlock = &block{
	name:    "log",
	doc:     "The server's log, on standard error.",
	changes: atOnce,
	attributes: []attribute{
		{
			name: "level", kind: word{"debug", "info", "warn", "error"}, fallback: "info",
			doc: "What is less urgent is not logged.",
		},
		{
			name: "format", kind: word{"auto", "text", "json"}, fallback: "auto", changes: restart,
			doc: "`auto` is `text` on a terminal and `json` elsewhere.",
		},
	},
}

func (s *section) log() Log {
	inner := s.oneOrEmpty(logBlock)
	levels := map[string]slog.Level{
		"debug": slog.LevelDebug, "info": slog.LevelInfo, "warn": slog.LevelWarn, "error": slog.LevelError,
	}
	return Log{Level: levels[inner.word("level")], Format: inner.word("format")}
}

var auditBlock = &block{
	name:    "audit",
	doc:     "The audit: an open and a close record for each session, and a record of each refusal, as JSON lines in a file and, to be searched, in the store.",
	changes: atOnce,
	attributes: []attribute{
		{
			name: "path", kind: text{what: "path", check: checkPath}, changes: restart,
			doc: "The file. Unset: `audit.jsonl` in `data_dir`.",
		},
		{
			name: "max_size", kind: size{}, fallback: "64MiB",
			doc: "The file is rotated when it has grown beyond this. `0`: never.",
		},
		{
			name: "keep", kind: count{1, 10_000}, fallback: "8",
			doc: "How many rotated files are kept.",
		},
		{
			name: "retention", kind: duration{0, math.MaxInt64}, fallback: "2160h",
			doc: "How long a record stays in the store: 90 days unless set. `\"0s\"`: for ever.",
		},
		{
			name: "retention_size", kind: size{}, fallback: "1GiB",
			doc: "How much the records in the store may take; beyond it the oldest go. `0`: no limit.",
		},
	},
}

func (s *section) audit(dataDir string) Audit {
	inner := s.oneOrEmpty(auditBlock)
	a := Audit{
		Path:          defaultAudit(dataDir),
		MaxSize:       inner.size("max_size"),
		Keep:          inner.count("keep"),
		Retention:     inner.duration("retention"),
		RetentionSize: inner.size("retention_size"),
	}
	if inner.has("path") {
		a.Path = s.path(inner.text("path"))
	}
	return a
}

var adminBlock = &block{
	name:    "admin",
	doc:     "An HTTP port for metrics and health, nothing else. Without this block there is none.",
	changes: restart,
	attributes: []attribute{
		{
			name: "listen", kind: text{what: "`\"HOST:PORT\"` on loopback", check: checkLoopback}, fallback: "127.0.0.1:9078",
			doc: "Address and port to listen on.",
		},
	},
}

func (s *section) admin() *Admin {
	inner := s.one(adminBlock)
	if inner == nil {
		return nil
	}
	a := &Admin{Listen: inner.text("listen"), Where: s.where(inner.header)}
	s.claim(a.Listen, inner.at("listen"))
	return a
}

// oneOrEmpty is one for a block whose defaults hold when it is not there.
func (s *section) oneOrEmpty(schema *block) *section {
	if inner := s.one(schema); inner != nil {
		return inner
	}
	return &section{loader: s.loader, schema: schema, header: s.header}
}
