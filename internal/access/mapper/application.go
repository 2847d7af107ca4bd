package mapper

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"jackfield"
	"jackfield/wire/mapper"
)

// Application makes a policy into a program's part of the protocol: it decides about requests that describe themselves by
// the entries that a Mapper sends. Other products send fewer of them. A request without a client's address, and one whose
// entries cannot be understood, fails.
func Application(p jackfield.Policy) mapper.Handler {
	return func(ctx context.Context, asked mapper.Request) mapper.Response {
		r, err := parseEntries(asked.Entries)
		if err != nil {
			return mapper.Response{Text: err.Error()}
		}
		d := p.Decide(ctx, r)
		return mapper.Response{Success: d.Allow, Text: d.Reason}
	}
}

var errNoAddress = errors.New("the request has no addr-ip")

// parseEntries is the other direction of Mapper.entries.
func parseEntries(entries mapper.Entries) (*jackfield.Request, error) {
	r := &jackfield.Request{Time: time.Now(), Identity: jackfield.Identity{Proof: jackfield.ProofNone}}
	seen := make(map[string]bool)
	for _, e := range entries {
		if seen[e.Key] && slices.Contains(single, e.Key) {
			return nil, fmt.Errorf("the entry %s comes twice", e.Key)
		}
		seen[e.Key] = true
		if err := parseEntry(r, e); err != nil {
			return nil, err
		}
	}
	if !r.Source.Addr().IsValid() {
		return nil, errNoAddress
	}
	return r, nil
}

// single are the keys of which one that comes twice is refused: which one counts must not be a guess.
var single = []string{"user", "addr-ip", "service", "listener"}

// parseEntry takes one entry in. Rules look at nothing that other keys could tell.
func parseEntry(r *jackfield.Request, e mapper.Entry) error {
	switch e.Key {
	case "user":
		_, name, numbered := strings.Cut(e.Value, ":")
		if !numbered || name == "" {
			return errors.New("the entry user is not ID:NAME")
		}
		if e.Value != nobody {
			r.Identity.User = name
		}
	case "addr-ip":
		address, err := netip.ParseAddr(e.Value)
		if err != nil {
			return errors.New("the entry addr-ip is no IP address")
		}
		r.Source = netip.AddrPortFrom(address.Unmap(), 0)
	case "service":
		name, err := jackfield.ParseName(e.Value)
		if err != nil {
			return errors.New("the entry service is not the name of a service")
		}
		r.Service = name
	case "listener":
		r.Listener = strings.ToLower(e.Value)
	case "protocol":
		r.Protocol = e.Value
	case "group":
		r.Identity.Groups = append(r.Identity.Groups, e.Value)
	case "proof":
		r.Identity.Proof = jackfield.Proof(e.Value)
	case "session":
		r.ID = e.Value
	}
	return nil
}
