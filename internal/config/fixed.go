package config

import (
	"fmt"
	"path/filepath"
	"strings"
)

// fixedArguments is what needs a restart, and what of it is compared: the effect, not how it is written.
var fixedArguments = []struct {
	name  string
	value func(*Config) string
}{
	{"data_dir", func(c *Config) string { return c.DataDir }},
	{"user", func(c *Config) string { return c.Program.User }},
	{"group", func(c *Config) string { return c.Program.Group }},
	{"groups", func(c *Config) string { return strings.Join(c.Program.Groups, ":") }},
	{"log.format", func(c *Config) string { return c.Log.Format }},
	{"audit.path", func(c *Config) string {
		if c.Audit.Path == defaultAudit(c.DataDir) {
			return "" // it goes with data_dir
		}
		return c.Audit.Path
	}},
	{"store.url", func(c *Config) string { return c.Store.URL }},
	{"store.replicas", func(c *Config) string {
		if c.Store.URL == "" {
			return "" // it goes with url
		}
		return fmt.Sprint(c.Store.Replicas)
	}},
	{"store.credentials_file", func(c *Config) string { return c.Store.CredentialsFile }},
	{"store.ca_file", func(c *Config) string { return c.Store.CAFile }},
	{"store.certificate_file", func(c *Config) string { return c.Store.CertificateFile }},
	{"store.key_file", func(c *Config) string { return c.Store.KeyFile }},
	{"admin.listen", func(c *Config) string {
		if c.Admin == nil {
			return ""
		}
		return c.Admin.Listen
	}},
}

func defaultAudit(dataDir string) string { return filepath.Join(dataDir, "audit.jsonl") }

// FixedChanges names what is different in next and cannot change without a restart, each with its place, such as
// "audit.path (jackfield.hcl:7)". It shows no value. It is empty when a reload may go on.
func (c *Config) FixedChanges(next *Config) []string {
	var changes []string
	for _, a := range fixedArguments {
		if a.value(c) == a.value(next) {
			continue
		}
		place := next.fixedAt[a.name]
		if place == "" {
			place = "removed; it stood at " + c.fixedAt[a.name]
		}
		changes = append(changes, fmt.Sprintf("%s (%s)", a.name, place))
	}
	return changes
}

// qualified is the name of an argument with its block's, such as "audit.path".
func (b *block) qualified(a attribute) string {
	if b.name == "" {
		return a.name
	}
	return b.name + "." + a.name
}

// noteFixed remembers where the arguments stand that need a restart. One that is left out of a block stands where that
// block does.
func (s *section) noteFixed() {
	for _, a := range s.schema.attributes {
		if s.schema.effect(a) != restart {
			continue
		}
		if s.has(a.name) {
			s.fixedAt[s.schema.qualified(a)] = s.where(s.attributes[a.name].Range)
		} else if s.schema.name != "" {
			s.fixedAt[s.schema.qualified(a)] = s.where(s.header)
		}
	}
}
