package enrolment

import (
	"context"
	"encoding/json"
	"errors"
	"strings"

	"jackfield"
	"jackfield/internal/store"
)

// maxAttempts is how often a change is tried while others change the same agent.
const maxAttempts = 10

// edit changes what the store has of an agent, in one step: of changes at the same moment each sees what the one before has left.
func (r *Roll) edit(ctx context.Context, name string, change func(*record) error) (Agent, error) {
	name = strings.ToLower(name)
	err := error(errContended)
	for range maxAttempts {
		e, missing := r.entry(name)
		if missing != nil {
			return Agent{}, missing
		}
		if e.NewName != "" {
			return Agent{}, jackfield.Refuse(jackfield.Busy, "the agent is being renamed: try again, or rename it again", nil)
		}
		if err := change(&e.record); err != nil {
			return Agent{}, err
		}
		if e, err = r.update(ctx, name, e); err == nil {
			return e.agent(), nil
		}
		if !errors.Is(err, store.ErrConflict) {
			break
		}
		if err := r.refresh(ctx, name); err != nil {
			return Agent{}, err
		}
	}
	return Agent{}, refuseWrite(err)
}

var errContended = errors.New("somebody else changed the agent each time")

// create writes a record where none is.
func (r *Roll) create(ctx context.Context, next record) (entry, error) {
	value, err := json.Marshal(next)
	if err != nil {
		return entry{}, err
	}
	revision, err := r.store.Create(ctx, prefix+next.Name, value)
	if err != nil {
		return entry{}, err
	}
	return r.note(next.Name, entry{record: next, revision: revision}), nil
}

// update writes an entry over the one of its revision.
func (r *Roll) update(ctx context.Context, name string, e entry) (entry, error) {
	value, err := json.Marshal(e.record)
	if err != nil {
		return entry{}, err
	}
	revision, err := r.store.Update(ctx, prefix+name, value, e.revision)
	if err != nil {
		return entry{}, err
	}
	return r.note(name, entry{record: e.record, revision: revision}), nil
}

// remove removes the entry of that revision.
func (r *Roll) remove(ctx context.Context, name string, e entry) error {
	err := r.store.Delete(ctx, prefix+name, e.revision)
	if err == nil || errors.Is(err, store.ErrNotFound) {
		r.note(name, entry{revision: e.revision, gone: true})
		return nil
	}
	return err
}

// note takes over what was written here, before the store's watch tells of it.
func (r *Roll) note(name string, written entry) entry {
	r.mu.Lock()
	defer r.mu.Unlock()
	if present, known := r.entries[name]; known && written.revision >= present.revision || !known && !written.gone {
		r.put(name, written)
	}
	return written
}

// refresh reads an entry which the store's watch has not told of yet.
func (r *Roll) refresh(ctx context.Context, name string) error {
	e, err := r.store.Get(ctx, prefix+name)
	switch {
	case errors.Is(err, store.ErrNotFound):
		r.mu.Lock()
		defer r.mu.Unlock()
		if present, known := r.entries[name]; known {
			r.put(name, entry{revision: present.revision, gone: true})
		}
		return nil
	case err != nil:
		return refuseWrite(err)
	}
	r.apply(store.Change{Entry: e})
	return nil
}

// refuseWrite says what a failed write means to the person who wanted it.
func refuseWrite(err error) error {
	var refusal *jackfield.Error
	switch {
	case errors.As(err, &refusal):
		return err
	case errors.Is(err, store.ErrConflict), errors.Is(err, store.ErrExists), errors.Is(err, errContended):
		return jackfield.Refuse(jackfield.Busy, "the agent was changed by somebody else at this moment: try again", err)
	case errors.Is(err, store.ErrUnavailable), errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return jackfield.Refuse(jackfield.Unavailable, "the store cannot be reached: try again later", err)
	}
	return jackfield.Refuse(jackfield.Internal, "internal error", err)
}
