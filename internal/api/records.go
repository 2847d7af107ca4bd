package api

import (
	"context"
	"encoding/json"
	"errors"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"jackfield"
	"jackfield/internal/audit"
	"jackfield/internal/audit/journal"
	"jackfield/internal/store"
)

const (
	maxFilter = 253 // bytes of the text of one parameter
	maxEvents = 10

	maxQueries     = 8 // at once, for each reads up to 16 MiB from the store
	maxQueriesEach = 2 // of one user
)

// filter reads what records the call asks for. Those who are no administrators get their own.
func (c *call) filter() (journal.Filter, error) {
	f := journal.Filter{
		Service:  c.query("service"),
		User:     c.query("user"),
		Listener: c.query("listener"),
		ID:       c.query("id"),
		End:      c.query("end"),
	}
	for _, list := range c.values {
		if len(list[0]) > maxFilter {
			return f, invalid("a parameter is too long")
		}
	}
	if events := c.query("event"); events != "" {
		if f.Events = strings.Split(events, ","); len(f.Events) > maxEvents {
			return f, invalid("there are not so many kinds of events")
		}
	}
	var err error
	if f.Since, err = c.queryTime("since"); err != nil {
		return f, err
	}
	if f.Until, err = c.queryTime("until"); err != nil {
		return f, err
	}
	if f.Source, err = parseSource(c.query("source")); err != nil {
		return f, err
	}
	for _, event := range f.Events {
		if !slices.Contains(audit.Events, event) {
			return f, invalid("there is no event " + strconv.Quote(clip(event)) + "; there are: " + strings.Join(audit.Events, ", "))
		}
	}
	if !c.who.Admin {
		own := c.who.Identity.User
		if own == "" || f.User != "" && f.User != own {
			return f, jackfield.Refuse(jackfield.Denied, "only administrators see what others did", nil)
		}
		f.User = own
		if user, err := c.server.Directory.User(own); err == nil && user.Created.After(f.Since) {
			f.Since = user.Created // before that, it was somebody else of the same name
		}
	}
	if err := f.Check(); err != nil {
		return f, invalid(err.Error())
	}
	return f, nil
}

func (c *call) queryTime(name string) (time.Time, error) {
	text := c.query(name)
	if text == "" {
		return time.Time{}, nil
	}
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return t, invalid(name + " must be a time as in RFC 3339, such as 2026-11-22T05:00:00Z")
	}
	return t, nil
}

func parseSource(text string) (netip.Prefix, error) {
	if text == "" {
		return netip.Prefix{}, nil
	}
	if address, err := netip.ParseAddr(text); err == nil {
		address = address.Unmap().WithZone("")
		return netip.PrefixFrom(address, address.BitLen()), nil
	}
	network, err := netip.ParsePrefix(text)
	if err != nil {
		return network, invalid("source must be an address or a network, such as 192.0.2.0/24")
	}
	return network.Masked(), nil
}

// journalError says which of the journal's errors are the caller's.
func journalError(err error) error {
	switch {
	case errors.Is(err, journal.ErrCursor):
		return invalid("the cursor is none that a list has given")
	case errors.Is(err, journal.ErrFilter):
		return invalid(err.Error())
	case errors.Is(err, context.Canceled):
		return refuseWith(statusClientClosed, jackfield.Unavailable, "the client has gone")
	case errors.Is(err, store.ErrUnavailable):
		return jackfield.Refuse(jackfield.Unavailable, "the store cannot be reached now", err)
	}
	return err
}

func listRecords(c *call) (any, error) {
	f, err := c.filter()
	if err != nil {
		return nil, err
	}
	limit, err := parseLimit(c.query("limit"))
	if err != nil {
		return nil, err
	}
	after, err := journal.ParseCursor(c.query("cursor"))
	if err != nil {
		return nil, journalError(err)
	}
	leave, entered := c.server.queries.enter(c.who.Identity)
	if !entered {
		return nil, jackfield.Refuse(jackfield.Limited, "too much of the audit is being searched at this moment: come back in a second", nil)
	}
	defer leave()
	page, err := c.server.Journal.Query(c.ctx, f, after, limit)
	if err != nil {
		return nil, journalError(err)
	}
	found := AuditList{Records: []AuditRecord{}, Next: page.Next.String()}
	for _, record := range page.Records {
		found.Records = append(found.Records, c.show(record))
	}
	c.linkNext(found.Next)
	return found, nil
}

// show leaves out what those who are no administrators may not learn: by which rule something was refused, whether it was
// there at all, and how services are reached.
func (c *call) show(record journal.Record) AuditRecord {
	if c.who.Admin {
		return AuditRecord(record.Line)
	}
	var whole, shown map[string]json.RawMessage
	if json.Unmarshal(record.Line, &whole) != nil {
		return AuditRecord("{}")
	}
	shown = make(map[string]json.RawMessage)
	for _, field := range shownToAll {
		if value, there := whole[field]; there {
			shown[field] = value
		}
	}
	line, err := json.Marshal(shown)
	if err != nil {
		return AuditRecord("{}")
	}
	return line
}

var shownToAll = []string{
	"event", "time", "id", "listener", "protocol", "source", "user", "service", "duration_seconds", "bytes_from_client",
	"bytes_from_service", "end", "token", "method", "path", "target", "status",
}

func followRecords(c *call) (why string, err error) {
	f, err := c.filter()
	if err != nil {
		return "", err
	}
	after, err := journal.ParseCursor(c.r.Header.Get("Last-Event-ID"))
	if err != nil {
		return "", journalError(err)
	}
	// The journal is followed before the answer begins: who sees its first byte misses nothing that happens from then on.
	ctx, cancel := context.WithCancel(c.ctx)
	defer cancel()
	follower, err := c.server.Journal.Follow(ctx, f, after)
	if err != nil {
		return "", journalError(err)
	}
	defer follower.Close()
	return c.stream(cancel, func(send func(frame) bool) {
		for {
			record, err := follower.Next()
			if err != nil {
				send(frame{last: "the store cannot be reached now: come back with the id of the last event"})
				return
			}
			if !send(frame{id: record.Cursor.String(), event: "record", data: c.show(record)}) {
				return
			}
		}
	})
}
