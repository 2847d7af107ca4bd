package mapper

import (
	"context"
	"hash/fnv"
	"net"
	"os/user"
	"strconv"
	"strings"

	"jackfield"
	"jackfield/internal/resolve"
	"jackfield/wire/mapper"
)

// entries are what the program is told of a request. The first three are those of the protocol's published examples, the
// others are Jackfield's own. One that would be empty is left out.
//
//	user                 ID:NAME, see userEntry
//	addr-ip              the client's address
//	addr-fqdn            its host name, where it has one that leads back to the address (Options.Resolve)
//	service              the full name
//	station              the service's station
//	listener, protocol   where the client came in
//	route                how the service is reached, in one word: dial, command, builtin, mihini; or link: nobody asks for a
//	                     service, but a device wants to come in
//	device               the device, of mihini and link
//	destination-address  what will be dialled, one pair for each address that may be tried; a Unix socket
//	destination-port     is "unix:/path", and has no port
//	group                one entry for each group of the user
//	proof                how the user was proven: none, kerberos, token, certificate
//	session              the session's short id; left out where answers are kept (Options.Cache)
func (m *Mapper) entries(ctx context.Context, r *jackfield.Request) mapper.Entries {
	var entries mapper.Entries
	add := func(key, value string) {
		if value != "" {
			entries = append(entries, mapper.Entry{Key: key, Value: value})
		}
	}
	add("user", userEntry(r.Identity.User))
	add("addr-ip", r.Source.Addr().String())
	if m.resolver != nil {
		add("addr-fqdn", resolve.Name(ctx, m.resolver, r.Source.Addr()))
	}
	add("service", string(r.Service))
	add("station", r.Service.Station())
	add("listener", r.Listener)
	add("protocol", r.Protocol)
	route := append(strings.Fields(r.Route), "", "")
	add("route", route[0])
	if route[0] == "mihini" || route[0] == "link" {
		add("device", route[1])
	}
	for _, destination := range r.Destinations {
		address, port := splitDestination(destination)
		add("destination-address", address)
		add("destination-port", port)
	}
	for _, group := range r.Identity.Groups {
		add("group", group)
	}
	add("proof", string(r.Identity.Proof))
	if m.answers == nil {
		add("session", r.ID)
	}
	return entries
}

func splitDestination(destination string) (address, port string) {
	if strings.HasPrefix(destination, "unix:") {
		return destination, ""
	}
	address, port, err := net.SplitHostPort(destination)
	if err != nil {
		return destination, ""
	}
	return address, port
}

const (
	nobody  = "65534:nobody" // nobody in particular
	firstID = 100_000        // of users that the system does not know
	lastID  = 1<<31 - 1
)

// userEntry is a user's number and name. The number is the system's where the system knows the name, else one that follows
// from the name alone. Nobody but root is 0, whatever the system says.
func userEntry(name string) string {
	if name == "" {
		return nobody
	}
	entry, err := user.Lookup(name)
	if err == nil && isNumber(entry.Uid) && (entry.Uid != "0" || name == "root") {
		return entry.Uid + ":" + name
	}
	return strconv.FormatUint(stableID(name), 10) + ":" + name
}

func isNumber(s string) bool {
	_, err := strconv.ParseUint(s, 10, 32)
	return err == nil
}

func stableID(name string) uint64 {
	hash := fnv.New64a()
	hash.Write([]byte(name))
	return firstID + hash.Sum64()%(lastID-firstID+1)
}
