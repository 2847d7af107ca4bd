package command_test

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"jackfield/internal/route/command"
)

// A resolver knows names by address and addresses by name. Of "hangs" it never tells.
type resolver map[string][]string

func (r resolver) LookupAddr(ctx context.Context, address string) ([]string, error) {
	if slices.Contains(r[address], "hangs") {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	if len(r[address]) == 0 {
		return nil, errors.New("no such host")
	}
	return r[address], nil
}

func (r resolver) LookupNetIP(_ context.Context, _, host string) ([]netip.Addr, error) {
	var addresses []netip.Addr
	for _, a := range r[host] {
		addresses = append(addresses, netip.MustParseAddr(a))
	}
	return addresses, nil
}

func TestResolve(t *testing.T) {
	const client, server = "192.0.2.7", "192.0.2.1"
	for name, c := range map[string]struct {
		names resolver
		want  string
	}{
		"both": {
			resolver{client: {"pc.example."}, "pc.example": {"192.0.2.9", "::ffff:192.0.2.7"}, server: {"srv.example."}, "srv.example": {server}},
			"LOCALHOST=srv.example REMOTEHOST=pc.example",
		},
		"second name":  {resolver{client: {"fake.example.", "pc.example."}, "fake.example": {"192.0.2.8"}, "pc.example": {client}}, "REMOTEHOST=pc.example"},
		"claimed only": {resolver{client: {"www.bank.example."}, "www.bank.example": {"198.51.100.1"}}, ""},
		"unknown":      {resolver{}, ""},
		"no name":      {resolver{client: {"$(reboot)"}, "$(reboot)": {client}}, ""},
		"hangs":        {resolver{client: {"hangs"}, server: {"srv.example"}, "srv.example": {server}}, "LOCALHOST=srv.example"},
	} {
		t.Run(name, func(t *testing.T) {
			begin := time.Now()
			got := run(t, command.Options{
				Command:  shell("env | grep HOST= | sort"),
				Resolve:  true,
				Resolver: c.names,
				Env:      map[string]string{"REMOTEHOST": "overruled"},
			})
			if words := strings.Join(strings.Fields(got), " "); words != c.want {
				t.Errorf("got %q", words)
			}
			if took := time.Since(begin); took > patience {
				t.Errorf("it took %v", took)
			}
		})
	}
}
