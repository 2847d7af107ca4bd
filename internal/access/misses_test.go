package access

import (
	"net/netip"
	"testing"

	"jackfield"
)

func TestMisses(t *testing.T) {
	never := func(*jackfield.Request) (bool, error) { return false, nil }
	acl := NewACL("service.echo", []Rule{
		{Allow: true, Users: []string{"amy"}, Groups: []string{"lab"}},
		{Allow: true, Users: []string{"bob"}, From: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}},
		{Allow: true, Groups: []string{"*"}, Services: []string{"console.*"}, When: never},
	})
	asked := &jackfield.Request{
		Source: netip.MustParseAddrPort("192.0.2.1:1"), Identity: jackfield.Identity{User: "amy", Groups: []string{"staff"}}, Service: "echo",
	}
	const want = "[0] groups, [1] from and users, [2] services and when"
	if got := acl.Misses(asked); got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if d := acl.Decide(t.Context(), asked); d.Allow {
		t.Errorf("%+v", d)
	}
	if got := NewACL("global", nil).Misses(asked); got != "" {
		t.Errorf("without rules: %q", got)
	}
}
