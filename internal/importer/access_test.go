package importer

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestParseAddress(t *testing.T) {
	for _, test := range []struct {
		text string
		want string // empty: it cannot be translated
	}{
		{"192.168.1.7", "192.168.1.7/32"},
		{"128.138.12.0", "128.138.12.0/24"},
		{"10.0.0.0", "10.0.0.0/8"},
		{"10.0.1.0", "10.0.1.0/24"},
		{"0.0.0.0", "0.0.0.0/0"},
		{"10.1.2.3/8", "10.0.0.0/8"},
		{"1.2.3.4/32", "1.2.3.4/32"},
		{"192.168.1.{2,3}", "192.168.1.2/32 192.168.1.3/32"},
		{"128.138.{200,0}", "128.138.200.0/24 128.138.0.0/24"},
		{"{10,127}", "10.0.0.0/8 127.0.0.0/8"},
		{"2001:db8::7", "2001:db8::7/128"},
		{"2001:db8::", "2001:db8::/128"}, // zeros are no wildcards in IPv6
		{"1234::/46", "1234::/46"},
		{"::", "::/0"},
		{"10.0.0.0/255.0.0.0", ""},
		{"10.0.0.0/33", ""},
		{"192.168.1", ""}, // inet_aton has it for 192.168.0.1
		{"010.0.0.1", ""}, // and this for 8.0.0.1
		{"fe80::1%eth0", ""},
		{"host.example.com", ""},
		{".example.com", ""},
		{"loopback", ""},
	} {
		element, err := parseAddress(test.text)
		if err != nil {
			t.Errorf("%s: %v", test.text, err)
		}
		known, _ := (&addresses{elements: []address{element}}).networks()
		var got []string
		for _, n := range known {
			got = append(got, n.String())
		}
		if strings.Join(got, " ") != test.want {
			t.Errorf("%s is %q, want %q", test.text, got, test.want)
		}
	}
	for _, bad := range []string{"10.0.0.1,", "10.{1,2}.0", "10.{1", "10.{1,}", "10.{}", "10.{256}", "300.{1}", "10{1}", "1.2.3.4.{5}", "1..{2}", ".{2}", "a.{1}"} {
		if element, err := parseAddress(bad); err == nil {
			t.Errorf("%s is taken for %v", bad, element.networks)
		}
	}
}

// octets make addresses that often lie in each other's networks.
var octets = rapid.SampledFrom([]byte{0, 0, 1, 2})

func drawAddress(t *rapid.T, label string) netip.Addr {
	var b [4]byte
	for i := range b {
		b[i] = octets.Draw(t, label)
	}
	return netip.AddrFrom4(b)
}

// xinetdHolds is the comparison of xinetd's addr.c, for IPv4: the address's last bytes that are 0 stand for anything.
func xinetdHolds(list []netip.Addr, client netip.Addr) bool {
	number := func(a netip.Addr) (n uint32) {
		for _, b := range a.As4() {
			n = n<<8 | uint32(b)
		}
		return n
	}
	return slices.ContainsFunc(list, func(a netip.Addr) bool {
		mask := ^uint32(0)
		for mask != 0 && number(a)&^(mask<<8) == 0 {
			mask <<= 8
		}
		return number(client)&mask == number(a)&mask
	})
}

// TestRulesAgree compares rules with what xinetd 2.3.15 does with the lists that they come from.
func TestRulesAgree(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		drawn := map[string][]netip.Addr{}
		lists := map[string]*addresses{}
		for _, name := range []string{"only_from", "no_access"} {
			if !rapid.Bool().Draw(t, name) {
				continue
			}
			var texts []string
			for range rapid.IntRange(0, 3).Draw(t, "length") {
				a := drawAddress(t, name)
				drawn[name] = append(drawn[name], a)
				texts = append(texts, a.String())
			}
			lists[name] = &addresses{}
			if err := lists[name].assign("=", texts, "x:1"); err != nil {
				t.Fatal(err)
			}
		}
		rules := (&entry{}).accessRules(lists["only_from"], lists["no_access"], "")
		client := drawAddress(t, "client")
		want := !xinetdHolds(drawn["no_access"], client) && (lists["only_from"] == nil || xinetdHolds(drawn["only_from"], client))
		if got := allows(rules, client); got != want {
			t.Fatalf("%v: allowed %v, want %v by %v", client, got, want, rules)
		}
	})
}

// allows is Jackfield's way with rules: the first match decides, no match denies, no rules allow.
func allows(rules []rule, client netip.Addr) bool {
	for _, r := range rules {
		if len(r.from) == 0 || slices.ContainsFunc(r.from, func(n netip.Prefix) bool { return n.Contains(client) }) {
			return r.allow
		}
	}
	return len(rules) == 0
}

func TestAddressOperators(t *testing.T) {
	for _, test := range []struct {
		name  string
		lines []string
		want  string // networks, then how many elements cannot be translated or told
	}{
		{"set again", []string{"= 10.0.0.0", "= 127.0.0.1"}, "127.0.0.1/32"},
		{"add", []string{"= 10.0.0.0", "+= 127.0.0.1"}, "10.0.0.0/8 127.0.0.1/32"},
		{"take away", []string{"= 10.0.0.0 127.0.0.1", "-= 10.0.0.0/8"}, "127.0.0.1/32"},
		{"take away a part", []string{"= 10.{1,2}", "-= 10.1.0.0"}, "10.2.0.0/16"},
		{"another spelling is another", []string{"= 10.1.2.3/8", "-= 10.0.0.0"}, "10.0.0.0/8"},
		{"a name", []string{"= 10.0.0.0 a.b", "-= a.b"}, "10.0.0.0/8"},
		{"an unknown name", []string{"= 10.0.0.0", "-= a.b"}, "10.0.0.0/8 1"},
		{"a name stays", []string{"= a.b", "-= 10.0.0.0"}, "1"},
	} {
		list := &addresses{}
		for _, line := range test.lines {
			operator, values, _ := strings.Cut(line, " ")
			if err := list.assign(operator, strings.Fields(values), "x:1"); err != nil {
				t.Fatal(err)
			}
		}
		known, unknown := list.networks()
		got := []string{}
		for _, n := range known {
			got = append(got, n.String())
		}
		got = append(got, slices.Repeat([]string{"1"}, len(unknown)+len(list.unsure))...)
		if strings.Join(got, " ") != test.want {
			t.Errorf("%s: %q, want %q", test.name, got, test.want)
		}
	}
}

func TestTimes(t *testing.T) {
	for _, test := range []struct {
		intervals string
		when      string
		none      bool
		exact     bool
	}{
		{"2:00-8:59", "hour >= 2 && hour < 9", false, true},
		{"2:00-9:00", "hour >= 2 && hour < 9", false, false},
		{"0:00-5:59 22:00-23:59", "hour < 6 || hour >= 22", false, true},
		{"0:00-23:59", "", false, true},
		{"8:00-8:29 8:30-9:59", "hour >= 8 && hour < 10", false, true},
		{"8:30-17:15", "hour >= 9 && hour < 17", false, false},
		{"8:10-8:20", "", true, false},
	} {
		var open times
		for interval := range strings.FieldsSeq(test.intervals) {
			if err := open.open(interval); err != nil {
				t.Fatal(err)
			}
		}
		when, none, exact := open.condition()
		if when != test.when || none != test.none || exact != test.exact {
			t.Errorf("%s: %q, none %v, exact %v", test.intervals, when, none, exact)
		}
	}
	for _, bad := range []string{"", "8:00", "8-9", "0:00-24:00", "9:00-8:00", "8:00-8:00", "8:60-9:00", "-1:00-2:00", "8:00-9:00x"} {
		if err := new(times).open(bad); err == nil {
			t.Errorf("%q is taken for an interval", bad)
		}
	}
}
