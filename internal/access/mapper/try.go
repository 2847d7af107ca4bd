package mapper

import (
	"cmp"
	"context"
	"log/slog"

	"jackfield"
	"jackfield/wire/mapper"
)

// Try runs the program once for one question with the given entries, and returns what a Mapper with these options would
// decide. The trace, which may be nil, sees every line. It returns when the process has ended; when ctx ends, it ends it.
func Try(ctx context.Context, o Options, entries mapper.Entries, trace *mapper.Trace, log *slog.Logger) (jackfield.Decision, error) {
	m, err := New(o, log)
	if err != nil {
		return jackfield.Decision{}, err
	}
	p, err := m.launch.start(m.options, trace, log)
	if err != nil {
		return jackfield.Decision{}, err
	}
	defer context.AfterFunc(ctx, p.expire)()
	decision, _ := m.decide(p.run(cmp.Or(o.Timeout, DefaultTimeout), entries))
	return decision, ctx.Err()
}
