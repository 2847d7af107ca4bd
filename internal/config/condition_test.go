package config

import (
	"fmt"
	"net/netip"
	"sync"
	"testing"
	"time"

	"jackfield"
	"jackfield/internal/access"
)

func conditionOf(t testing.TB, expression string) access.Condition {
	t.Helper()
	return mustLoad(t, write(t, fmt.Sprintf("rule \"allow\" {\n  when = %s\n}\n", expression))).Rules[0].When
}

func asked() *jackfield.Request {
	return &jackfield.Request{
		Time:     time.Date(2026, time.November, 22, 7, 30, 0, 0, time.Local), // a Sunday
		Listener: "mux",
		Source:   netip.MustParseAddrPort("[::ffff:10.1.2.3]:4711"),
		Identity: jackfield.Identity{User: "ann", Groups: []string{"lab", "ops"}},
		Service:  "console.fpga-1",
	}
}

func TestConditions(t *testing.T) {
	for expression, want := range map[string]bool{
		`true`:                   true,
		`hour >= 7 && hour < 20`: true,
		`hour == 8`:              false,
		`weekday == "sunday"`:    true,
		`contains(["saturday", "sunday"], weekday)`:                  true,
		`user == "ann" && service == "console.fpga-1"`:               true,
		`listener != "mux"`:                                          false,
		`contains(groups, "ops")`:                                    true,
		`contains(groups, "op")`:                                     false,
		`address == "10.1.2.3"`:                                      true,
		`cidr_contains("10.1.0.0/16", address)`:                      true,
		`cidr_contains("10.1.2.3", address)`:                         true,
		`cidr_contains("::/0", address)`:                             false,
		`groups[0] == "lab"`:                                         true,
		`contains([for g in groups : "${g}-${user}"], "ops-ann")`:    true,
		`user == "bob" ? true : weekday == "sunday" && !(hour == 1)`: true,
	} {
		t.Run(expression, func(t *testing.T) {
			if got, err := conditionOf(t, expression)(asked()); got != want || err != nil {
				t.Errorf("got %v, %v; want %v", got, err, want)
			}
		})
	}
}

func TestConditionsFailClosed(t *testing.T) {
	for _, expression := range []string{`groups[7] == "lab"`, `user == "ann" ? null : true`, `contains(groups, groups[3])`, `hour + user > 3`} {
		t.Run(expression, func(t *testing.T) {
			acl := access.NewACL("global", []access.Rule{{Allow: true, When: conditionOf(t, expression)}})
			d := acl.Decide(t.Context(), asked())
			if d.Allow || d.By != "acl.global[0]" {
				t.Errorf("got %+v", d)
			}
		})
	}
}

func TestConditionsOfNobody(t *testing.T) {
	r := &jackfield.Request{Source: netip.MustParseAddrPort("[fe80::1%lo]:1")}
	for _, expression := range []string{`user == ""`, `!contains(groups, "lab")`, `cidr_contains("fe80::/10", address)`, `service == ""`} {
		if got, err := conditionOf(t, expression)(r); !got || err != nil {
			t.Errorf("%s: %v, %v", expression, got, err)
		}
	}
}

func TestConditionsAreSafeForConcurrentUse(t *testing.T) {
	condition := conditionOf(t, `contains([for g in groups[*] : "${g}!"], "${user}!") && hour < 24`)
	var group sync.WaitGroup
	for i := range 8 {
		group.Go(func() {
			r := asked()
			r.Identity.User = fmt.Sprint(i)
			r.Identity.Groups = []string{"x", fmt.Sprint(i)}
			for range 200 {
				if got, err := condition(r); !got || err != nil {
					t.Errorf("%d: %v, %v", i, got, err)
				}
			}
		})
	}
	group.Wait()
}
