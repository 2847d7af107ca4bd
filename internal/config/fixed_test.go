package config

import (
	"reflect"
	"slices"
	"testing"
)

func TestFixedChanges(t *testing.T) {
	for name, c := range map[string]struct {
		old, next string
		want      []string
	}{
		"nothing":      {``, ``, nil},
		"what is live": {`log { level = "info" }`, "max_sessions = 5\nlog { level = \"debug\" }\naudit {\n keep = 3\n retention = \"1h\"\n}", nil},
		"moved":        {"user = \"a\"\nadmin {}", "\n\nadmin { listen = \"127.0.0.1:9078\" }\nuser = \"a\"", nil},
		"written out": {``, `
			data_dir = "/var/lib/jackfield"
			log { format = "auto" }
			audit { path = "/var/lib/jackfield/audit.jsonl" }`, nil},
		"changed": {`data_dir = "/a"`, "\ndata_dir = \"/b\"", []string{"data_dir (jackfield.hcl:2)"}},
		"added": {``, `
			user   = "a"
			group  = "b"
			groups = ["c"]
			log { format = "json" }
			audit {
				path = "/x"
			}
			admin {}`, []string{
			"user (jackfield.hcl:2)", "group (jackfield.hcl:3)", "groups (jackfield.hcl:4)", "log.format (jackfield.hcl:5)",
			"audit.path (jackfield.hcl:7)", "admin.listen (jackfield.hcl:9)",
		}},
		"removed": {"\nuser = \"a\"\nadmin {}", ``, []string{
			"user (removed; it stood at jackfield.hcl:2)", "admin.listen (removed; it stood at jackfield.hcl:3)",
		}},
		"removed from a block that stays": {`log { format = "json" }`, "\nlog {}", []string{"log.format (jackfield.hcl:2)"}},
		"store, written otherwise": {
			`store { url = "nats://a,b" }`, "store {\n url = \"nats://a:4222,nats://b:4222\"\n replicas = \"3\"\n}", nil,
		},
		"store, still embedded": {``, `store {}`, nil},
		"store, in a cluster": {``, "store {\n url = \"nats://a\"\n ca_file = \"x\"\n}", []string{
			"store.url (jackfield.hcl:2)", "store.replicas (jackfield.hcl:1)", "store.ca_file (jackfield.hcl:3)",
		}},
		"store, otherwise": {"store {\n url = \"nats://a\"\n replicas = 1\n}", "store {\n url = \"nats://a\"\n}", []string{
			"store.replicas (jackfield.hcl:1)",
		}},
		"who there is": {`user "a" { admin = true }`, `group "b" { members = ["a"] }`, nil},
		"one of several groups": {
			`groups = ["a", "b"]`, `groups = ["a", "c"]`, []string{"groups (jackfield.hcl:1)"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			got := mustLoad(t, write(t, c.old)).FixedChanges(mustLoad(t, write(t, c.next)))
			if !reflect.DeepEqual(got, c.want) {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

// What the reference says of restarts is what FixedChanges looks at.
func TestFixedArgumentsAreTheSchemas(t *testing.T) {
	var said, compared []string
	for _, b := range documented(rootBlock) {
		for _, a := range b.attributes {
			if b.effect(a) == restart {
				said = append(said, b.qualified(a))
			}
		}
	}
	for _, a := range fixedArguments {
		compared = append(compared, a.name)
	}
	slices.Sort(said)
	slices.Sort(compared)
	if !slices.Equal(said, compared) {
		t.Errorf("the schema has %q, FixedChanges compares %q", said, compared)
	}
}
