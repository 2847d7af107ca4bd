package cli

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"jackfield"
	"jackfield/internal/api"
)

type auditOptions struct {
	filter api.RecordFilter
	since  string
	events []string
	number int
	follow bool
	json   bool
}

// followPause is the time before a stream that has ended is taken up again.
const followPause = 2 * time.Second

func newAudit() *cobra.Command {
	var flags serverFlags
	var o auditOptions
	cmd := &cobra.Command{
		Use:   "audit",
		Short: "Show what happened: sessions, refusals and calls",
		Long: `Shows the last records of the audit, the newest at the end: all of them to administrators, and their own to others. With
--follow, new ones are shown as they come, also after the server was away.

Somebody's own are also the logins that were refused, as with a wrong password: "- (claimed: ada)" is somebody who gave that name
and did not prove to be it.`,
		Example: `  jackfield audit -f --service 'console.*'
  jackfield audit --since 24h --event refuse --json`,
		Args: args(cobra.NoArgs),
		PreRunE: func(*cobra.Command, []string) error {
			if err := o.check(time.Now()); err != nil {
				return usageError{err}
			}
			return nil
		},
		RunE: flags.withServer(func(cmd *cobra.Command, _ []string, server *api.Client) error {
			return o.run(cmd, server)
		}),
	}
	flags.add(cmd)
	cmd.Flags().BoolVarP(&o.follow, "follow", "f", false, "show new records as they come")
	cmd.Flags().IntVarP(&o.number, "number", "n", 20, "how many of the last records to show")
	cmd.Flags().StringVar(&o.since, "since", "", "records of this time and later: 2026-11-22T05:00:00Z, or 24h for a day ago")
	cmd.Flags().StringSliceVar(&o.events, "event", nil, "kinds of records: open, close, refuse, call; may be given again")
	cmd.Flags().StringVar(&o.filter.Service, "service", "", "of this service, or of those that a pattern such as console.* fits")
	cmd.Flags().StringVar(&o.filter.User, "user", "", "of this user, and of who claimed to be and could not prove it")
	cmd.Flags().StringVar(&o.filter.Source, "source", "", "from this address or network")
	cmd.Flags().StringVar(&o.filter.ID, "id", "", "of this session or call")
	cmd.Flags().BoolVar(&o.json, "json", false, "print JSON, a record in a line")
	cmd.RegisterFlagCompletionFunc("service", completeServices(&flags))
	return cmd
}

func (o *auditOptions) check(now time.Time) error {
	o.filter.Events = strings.Join(o.events, ",")
	if o.number < 0 {
		return errors.New("--number must not be negative")
	}
	if o.since == "" {
		return nil
	}
	if ago, err := time.ParseDuration(o.since); err == nil && ago > 0 {
		o.filter.Since = now.Add(-ago)
		return nil
	}
	var err error
	if o.filter.Since, err = time.Parse(time.RFC3339, o.since); err != nil {
		return errors.New("--since must be a time such as 2026-11-22T05:00:00Z, or a duration such as 24h")
	}
	return nil
}

func (o *auditOptions) run(cmd *cobra.Command, server *api.Client) error {
	records, newest, err := lastRecords(cmd.Context(), server, o.filter, o.number)
	if err != nil {
		return err
	}
	for _, r := range records {
		if err := o.print(cmd.OutOrStdout(), r); err != nil {
			return err
		}
	}
	if !o.follow {
		return nil
	}
	return o.followRecords(cmd, server, newest)
}

// lastRecords returns at most so many records, the oldest first, and the id of the newest one, after which the audit can be
// followed; empty without any. The first part is one record, whose id is where the list goes on.
func lastRecords(ctx context.Context, server *api.Client, f api.RecordFilter, number int) (found []api.AuditRecord, newest string, err error) {
	cursor, without := "", 0
	for {
		limit := 1
		if newest != "" {
			limit = min(number-len(found), maxRecords)
		}
		part, err := server.Records(ctx, f, cursor, limit)
		if err != nil {
			return nil, "", err
		}
		if without++; len(part.Records) > 0 {
			without = 0
		}
		if part.Next != "" && part.Next == cursor || without > maxSearched {
			return nil, "", fmt.Errorf("the audit of %s does not end: ask for what is newer, with --since", server.Place())
		}
		found, cursor = append(found, part.Records...), part.Next
		if newest == "" && len(found) > 0 {
			newest = cursor
		}
		if cursor == "" || len(found) >= number && newest != "" {
			break
		}
	}
	found = found[:min(len(found), number)]
	slices.Reverse(found)
	return found, newest, nil
}

const (
	maxRecords  = 100    // are asked for at a time
	maxSearched = 10_000 // parts of the audit without a record that fits; in one, the server looks at some thousands
)

// followRecords shows what comes, until the person stops it or the server refuses. Where the stream ends, it is taken up after
// the last record.
func (o *auditOptions) followRecords(cmd *cobra.Command, server *api.Client, last string) error {
	ctx := cmd.Context()
	complaints := &complainer{w: cmd.ErrOrStderr(), about: "audit", server: server.Place()}
	for {
		for record, err := range server.FollowRecords(ctx, o.filter, last) {
			if ctx.Err() != nil {
				return nil
			}
			if err != nil {
				if kind := jackfieldKind(err); kind != "" && kind != jackfield.Unavailable && kind != jackfield.Limited {
					return err
				}
				complaints.failed(err)
				break
			}
			complaints.failed(nil)
			last = cmp.Or(record.ID, last)
			if err := o.print(cmd.OutOrStdout(), record.Data); err != nil {
				return err
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(followPause):
		}
	}
}

func (o *auditOptions) print(w io.Writer, record api.AuditRecord) error {
	if o.json {
		return printJSON(w, record)
	}
	line, err := describeRecord(record)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(w, line)
	return err
}

// describeRecord writes a record for people: when, its short id, what, who from where, and how it ended.
func describeRecord(record api.AuditRecord) (string, error) {
	var r struct {
		Event, ID, Listener, Source, User, Proof, Service, Kind, Details, Method, Path, Target, End string
		Time                                                                                        time.Time
		Status, Records                                                                             int
		Duration                                                                                    float64 `json:"duration_seconds"`
		FromClient                                                                                  int64   `json:"bytes_from_client"`
		FromService                                                                                 int64   `json:"bytes_from_service"`
	}
	if err := json.Unmarshal(record, &r); err != nil {
		return "", fmt.Errorf("a record of the audit cannot be read: %w", err)
	}
	who := orDash(r.User)
	if claimed, is := strings.CutPrefix(r.Target, "user "); is && r.User == "" && r.Proof != string(api.ProofPeer) {
		who += " (claimed: " + claimed + ")"
	}
	who += " from " + orDash(r.Source)
	var what string
	switch r.Event {
	case "open":
		what = fmt.Sprintf("%s for %s by listener %s", r.Service, who, r.Listener)
	case "close":
		what = fmt.Sprintf("%s for %s after %v: %s, %s from the client, %s from the service", r.Service, who,
			time.Duration(r.Duration*float64(time.Second)).Round(time.Millisecond), r.End, bytesCount(r.FromClient), bytesCount(r.FromService))
	case "refuse":
		what = fmt.Sprintf("%q for %s by listener %s: %s", r.Service, who, r.Listener, orDash(cmp.Or(r.Details, r.Kind)))
	case "call":
		what = fmt.Sprintf("%s %s by %s: %d %s", r.Method, r.Path, who, r.Status, cmp.Or(r.Target, r.Details))
	default:
		what = fmt.Sprintf("%d records", r.Records)
	}
	return visible(strings.TrimSpace(fmt.Sprintf("%s  %-12s %-8s %s", r.Time.Local().Format("2006-01-02 15:04:05.000"), orDash(r.ID), r.Event, what))), nil
}
