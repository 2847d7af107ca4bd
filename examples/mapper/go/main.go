// Authz decides by address, service and hour, as an application of the Mapper protocol.
package main

import (
	"cmp"
	"context"
	"fmt"
	"net/netip"
	"os"
	"path"
	"strconv"
	"time"

	"jackfield/wire/mapper"
)

// allowed says who may use what, and when.
var allowed = []struct {
	network    netip.Prefix // the client's
	service    string       // a pattern
	begin, end int          // from this hour on, until this hour
}{
	{netip.MustParsePrefix("10.1.0.0/16"), "console.*", 0, 24},
	{netip.MustParsePrefix("10.0.0.0/8"), "web", 7, 20},
	{netip.MustParsePrefix("127.0.0.0/8"), "web", 7, 20},
}

func main() {
	if err := mapper.Serve(context.Background(), os.Stdin, os.Stdout, decide); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func decide(_ context.Context, r mapper.Request) mapper.Response {
	client, _ := r.Entries.Get("addr-ip")
	service, _ := r.Entries.Get("service")
	address, err := netip.ParseAddr(client)
	if err != nil {
		return mapper.Response{Text: "no client address"}
	}
	hour, err := strconv.Atoi(cmp.Or(os.Getenv("AUTHZ_HOUR"), time.Now().Format("15"))) // AUTHZ_HOUR is for tests
	if err != nil {
		return mapper.Response{Text: "AUTHZ_HOUR is no hour"}
	}
	for _, rule := range allowed {
		matches, _ := path.Match(rule.service, service)
		if matches && rule.network.Contains(address) && rule.begin <= hour && hour < rule.end {
			return mapper.Response{Success: true}
		}
	}
	return mapper.Response{Text: fmt.Sprintf("%s may not use %q at %d o'clock", address, service, hour)}
}
