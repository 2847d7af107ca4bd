package access

import (
	"errors"
	"net/netip"
	"testing"

	"jackfield"
)

func request(address string, change ...func(*jackfield.Request)) *jackfield.Request {
	r := &jackfield.Request{Source: netip.AddrPortFrom(netip.MustParseAddr(address), 4711), Service: "console.fpga-1"}
	for _, c := range change {
		c(r)
	}
	return r
}

func as(user string, groups ...string) func(*jackfield.Request) {
	return func(r *jackfield.Request) {
		r.Identity = jackfield.Identity{User: user, Groups: groups, Proof: jackfield.ProofToken}
	}
}

func from(networks ...string) []netip.Prefix {
	prefixes := make([]netip.Prefix, len(networks))
	for i, n := range networks {
		prefixes[i] = netip.MustParsePrefix(n)
	}
	return prefixes
}

func condition(answer bool, err error) Condition {
	return func(*jackfield.Request) (bool, error) { return answer, err }
}

func TestDecide(t *testing.T) {
	for name, test := range map[string]struct {
		rules []Rule
		asked *jackfield.Request
		allow bool
		by    string
	}{
		"no rules":             {nil, request("10.0.0.1"), true, ""},
		"no match":             {[]Rule{{Allow: true, From: from("10.0.0.0/8")}}, request("11.0.0.1"), false, "acl.t[no match]"},
		"empty rule":           {[]Rule{{Allow: true}}, request("11.0.0.1"), true, "acl.t[0]"},
		"first match":          {[]Rule{{From: from("10.0.0.0/8")}, {Allow: true}}, request("10.1.1.1"), false, "acl.t[0]"},
		"second match":         {[]Rule{{From: from("10.0.0.0/8")}, {Allow: true}}, request("11.1.1.1"), true, "acl.t[1]"},
		"IPv4-mapped source":   {[]Rule{{Allow: true, From: from("10.0.0.0/8")}}, request("::ffff:10.1.1.1"), true, "acl.t[0]"},
		"IPv4-mapped network":  {[]Rule{{Allow: true, From: from("::ffff:10.0.0.0/104")}}, request("10.1.1.1"), true, "acl.t[0]"},
		"bits below the mask":  {[]Rule{{Allow: true, From: from("10.1.1.1/8")}}, request("10.9.9.9"), true, "acl.t[0]"},
		"IPv4 is not in ::/0":  {[]Rule{{Allow: true, From: from("::/0")}}, request("10.1.1.1"), false, "acl.t[no match]"},
		"zone":                 {[]Rule{{Allow: true, From: from("fe80::/10")}}, request("fe80::1%eth0"), true, "acl.t[0]"},
		"user":                 {[]Rule{{Allow: true, Users: []string{"eve", "ann"}}}, request("::1", as("ann")), true, "acl.t[0]"},
		"user's case":          {[]Rule{{Allow: true, Users: []string{"Ann"}}}, request("::1", as("ann")), false, "acl.t[no match]"},
		"any user":             {[]Rule{{Allow: true, Users: []string{"*"}}}, request("::1", as("ann")), true, "acl.t[0]"},
		"nobody is not a user": {[]Rule{{Allow: true, Users: []string{"*"}}}, request("::1"), false, "acl.t[no match]"},
		"group":                {[]Rule{{Allow: true, Groups: []string{"lab"}}}, request("::1", as("ann", "x", "lab")), true, "acl.t[0]"},
		"no group":             {[]Rule{{Allow: true, Groups: []string{"*"}}}, request("::1", as("ann")), false, "acl.t[no match]"},
		"user and group":       {[]Rule{{Allow: true, Users: []string{"ann"}, Groups: []string{"lab"}}}, request("::1", as("ann")), false, "acl.t[no match]"},
		"service":              {[]Rule{{Allow: true, Services: []string{"Console.*"}}}, request("::1"), true, "acl.t[0]"},
		"other service":        {[]Rule{{Allow: true, Services: []string{"ssh.*", "console"}}}, request("::1"), false, "acl.t[no match]"},
		"condition":            {[]Rule{{Allow: true, When: condition(true, nil)}}, request("::1"), true, "acl.t[0]"},
		"condition not met":    {[]Rule{{When: condition(false, nil)}, {Allow: true}}, request("::1"), true, "acl.t[1]"},
		"failed condition":     {[]Rule{{Allow: true, When: condition(true, errors.New("broken"))}, {Allow: true}}, request("::1"), false, "acl.t[0]"},
		"condition not asked":  {[]Rule{{From: from("10.0.0.0/8"), When: condition(true, errors.New("broken"))}, {Allow: true}}, request("::1"), true, "acl.t[1]"},
	} {
		t.Run(name, func(t *testing.T) {
			d := NewACL("t", test.rules).Decide(t.Context(), test.asked)
			if d.Allow != test.allow || d.By != test.by || d.Reason == "" {
				t.Errorf("got %+v, want allow %v by %q", d, test.allow, test.by)
			}
		})
	}
}

func TestReasonSaysWhere(t *testing.T) {
	rules := []Rule{
		{Allow: true, From: from("10.0.0.0/8"), Where: "jackfield.hcl:14"},
		{When: condition(false, errors.New("no such group")), Where: "jackfield.hcl:15"},
	}
	acl := NewACL("global", rules)
	for address, want := range map[string]string{
		"10.0.0.1": "allowed by rule at jackfield.hcl:14",
		"11.0.0.1": "condition at jackfield.hcl:15 failed: no such group",
	} {
		if d := acl.Decide(t.Context(), request(address)); d.Reason != want {
			t.Errorf("%s: %q, want %q", address, d.Reason, want)
		}
	}
}

func TestDecideEarly(t *testing.T) {
	lab := from("10.0.0.0/8")
	for name, test := range map[string]struct {
		rules   []Rule
		decided bool
		allow   bool
	}{
		"no rules":                        {nil, true, true},
		"decided by address":              {[]Rule{{Allow: true, From: lab}}, true, true},
		"other address":                   {[]Rule{{Allow: true, From: from("11.0.0.0/8")}}, true, false},
		"other address with user":         {[]Rule{{Allow: true, From: from("11.0.0.0/8"), Users: []string{"ann"}}, {From: lab}}, true, false},
		"user is undecided":               {[]Rule{{Users: []string{"ann"}}, {Allow: true}}, false, false},
		"group is undecided":              {[]Rule{{From: lab, Groups: []string{"*"}}, {From: lab}}, false, false},
		"service is undecided":            {[]Rule{{Allow: true, Services: []string{"*"}}}, false, false},
		"condition is not asked":          {[]Rule{{When: condition(true, errors.New("asked"))}}, false, false},
		"address decides before the user": {[]Rule{{From: lab}, {Allow: true, Users: []string{"ann"}}}, true, false},
	} {
		t.Run(name, func(t *testing.T) {
			d, decided := NewACL("t", test.rules).DecideEarly(request("10.0.0.1"))
			if decided != test.decided || d.Allow != test.allow {
				t.Errorf("got %+v, decided %v; want allow %v, decided %v", d, decided, test.allow, test.decided)
			}
		})
	}
}

func TestACLCostsNothingWithoutRules(t *testing.T) {
	acl, asked := NewACL("t", nil), request("::1")
	if n := testing.AllocsPerRun(100, func() { acl.Decide(t.Context(), asked) }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}
