package access

import (
	"net/netip"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"jackfield"
)

// sketch is a rule in a form that can be drawn and that a naive model can match.
type sketch struct {
	allow                         bool
	network, user, group, service string // empty: not named
	when                          string // "", "true", "false", "error"
}

var (
	networks  = []string{"10.0.0.0/8", "10.1.0.0/16", "::/0", "fd00::/8"}
	addresses = []string{"10.1.2.3", "10.2.2.3", "11.0.0.1", "fd00::1", "2001:db8::1"}
	people    = []string{"ann", "bob"}
	services  = []string{"echo", "console.fpga-1"}
)

func drawRules(t *rapid.T) []sketch {
	optional := func(values ...string) *rapid.Generator[string] { return rapid.SampledFrom(append(values, "", "")) }
	return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) sketch {
		return sketch{
			allow:   rapid.Bool().Draw(t, "allow"),
			network: optional(networks...).Draw(t, "from"),
			user:    optional(append(slices.Clone(people), "*")...).Draw(t, "users"),
			group:   optional("lab", "*").Draw(t, "groups"),
			service: optional(append(slices.Clone(services), "*")...).Draw(t, "services"),
			when:    optional("true", "false", "error").Draw(t, "when"),
		}
	}), 0, 6).Draw(t, "rules")
}

func drawRequest(t *rapid.T) *jackfield.Request {
	r := request(rapid.SampledFrom(addresses).Draw(t, "address"))
	r.Service = jackfield.Name(rapid.SampledFrom(services).Draw(t, "service"))
	if rapid.Bool().Draw(t, "known") {
		r.Identity.User = rapid.SampledFrom(people).Draw(t, "user")
		r.Identity.Groups = rapid.SliceOfN(rapid.SampledFrom([]string{"lab", "ops"}), 0, 2).Draw(t, "groups")
	}
	return r
}

func compileSketches(sketches []sketch) []Rule {
	named := func(s string) []string {
		if s == "" {
			return nil
		}
		return []string{s}
	}
	var rules []Rule
	for _, s := range sketches {
		rule := Rule{Allow: s.allow, Users: named(s.user), Groups: named(s.group), Services: named(s.service)}
		if s.network != "" {
			rule.From = from(s.network)
		}
		switch s.when {
		case "true", "false":
			rule.When = condition(s.when == "true", nil)
		case "error":
			rule.When = condition(false, errBroken)
		}
		rules = append(rules, rule)
	}
	return rules
}

// model is first match, written the slow and obvious way.
func model(sketches []sketch, r *jackfield.Request) bool {
	for _, s := range sketches {
		network := s.network == "" || netip.MustParsePrefix(s.network).Contains(r.Source.Addr())
		user := s.user == "" || s.user == "*" && r.Identity.User != "" || s.user == r.Identity.User
		group := s.group == "" || s.group == "*" && len(r.Identity.Groups) > 0 || slices.Contains(r.Identity.Groups, s.group)
		service := s.service == "" || s.service == "*" || s.service == string(r.Service)
		if network && user && group && service {
			switch s.when {
			case "", "true":
				return s.allow
			case "error":
				return false
			}
		}
	}
	return len(sketches) == 0
}

func TestFirstMatchDecides(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		sketches, r := drawRules(t), drawRequest(t)
		d := NewACL("t", compileSketches(sketches)).Decide(t.Context(), r)
		if want := model(sketches, r); d.Allow != want {
			t.Fatalf("%+v, the model says %v", d, want)
		}
	})
}

// What was decided early must be decided so in the end, whatever identity, name and time turn out to be.
func TestEarlyDecisionHolds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		acl := NewACL("t", compileSketches(drawRules(t)))
		r := drawRequest(t)
		early, decided := acl.DecideEarly(&jackfield.Request{Source: r.Source})
		if late := acl.Decide(t.Context(), r); decided && early != late {
			t.Fatalf("early %+v, late %+v", early, late)
		}
	})
}
