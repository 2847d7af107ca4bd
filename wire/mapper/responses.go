package mapper

import "fmt"

// responses credits what an application writes to the requests that it answers, line by line. It does no I/O.
type responses struct {
	outcomes []outcome      // one per request, in their order
	sent     map[string]int // index of a request by its id
	left     int            // requests that wait for an answer
	open     *outcome       // whose response is being read; nil if none is, or one that counts for nothing
}

// An outcome is final when waiting is false.
type outcome struct {
	Answer
	id      string
	waiting bool
}

// expect prepares for the responses to those requests that can be sent; the others have their answer at once.
func expect(requests []Request) (*responses, []Request) {
	r := &responses{outcomes: make([]outcome, len(requests)), sent: make(map[string]int)}
	var sendable []Request
	for i, request := range requests {
		o := &r.outcomes[i]
		o.id = request.ID
		if o.Err = r.check(request, len(sendable)); o.Err != nil {
			continue
		}
		o.waiting = true
		r.left++
		r.sent[request.ID] = i
		sendable = append(sendable, request)
	}
	return r, sendable
}

func (r *responses) check(request Request, before int) error {
	if err := CheckID(request.ID); err != nil {
		return err
	}
	if _, twice := r.sent[request.ID]; twice {
		return fmt.Errorf("mapper: the id %s %w: another request has it", quote(request.ID), ErrUnsendable)
	}
	if before == MaxRequests {
		return fmt.Errorf("mapper: %w requests: %d are allowed", ErrTooMany, MaxRequests)
	}
	return checkEntries(request.Entries)
}

// take takes a line and says what it means, and whether that is odd. An error fails the exchange.
func (r *responses) take(line string) (meaning string, odd bool, err error) {
	name, separator, data := split(line)
	switch {
	case separator == 0:
		return "ignored: neither a parameter nor an entry", true, nil
	case separator == '=':
		return r.takeEntry(Entry{name, data})
	case name == request:
		meaning, odd = r.begin(trimBlank(data))
	case name == success, name == failure:
		meaning, odd = r.end(name == success, trimBlank(data))
	default:
		return "ignored: a parameter that means nothing here", true, nil
	}
	return meaning, odd, nil
}

func (r *responses) takeEntry(entry Entry) (meaning string, odd bool, err error) {
	switch {
	case r.open == nil:
		return "ignored: no response that counts is open", true, nil
	case entry.Key == "":
		return "ignored: an entry without a key", true, nil
	case len(r.open.Entries) == MaxEntries:
		return "", true, fmt.Errorf("%w entries in the response to request %s: %d are allowed",
			ErrTooMany, quote(r.open.id), MaxEntries)
	}
	r.open.Entries = append(r.open.Entries, entry)
	return fmt.Sprintf("an entry of the response to request %s", quote(r.open.id)), false, nil
}

// begin begins a response. One that is still open has failed, for nobody can tell whose the next verdict would be.
func (r *responses) begin(id string) (meaning string, odd bool) {
	broken := ""
	if abandoned := r.open; abandoned != nil {
		broken = fmt.Sprintf("request %s fails, its response being open still; ", quote(abandoned.id))
		abandoned.Err = fmt.Errorf("mapper: %w to request %s: another response began within its own",
			ErrUnanswered, quote(abandoned.id))
		r.finish()
	}
	i, known := r.sent[id]
	switch {
	case !known:
		return broken + fmt.Sprintf("skipped: a response to %s, which was not asked", quote(id)), true
	case !r.outcomes[i].waiting:
		return broken + fmt.Sprintf("skipped: another response to %s, which is answered", quote(id)), true
	}
	r.open = &r.outcomes[i]
	return broken + fmt.Sprintf("the response to request %s begins", quote(id)), broken != ""
}

func (r *responses) end(verdict bool, text string) (meaning string, odd bool) {
	if r.open == nil {
		return "ignored: no response that counts is open", true
	}
	r.open.Success, r.open.Text = verdict, text
	meaning = fmt.Sprintf("request %s is refused", quote(r.open.id))
	if verdict {
		meaning = fmt.Sprintf("request %s is allowed, if the exit status is 0", quote(r.open.id))
	}
	r.finish()
	return meaning, false
}

func (r *responses) finish() {
	r.open.waiting = false
	r.open = nil
	r.left--
}

// settle returns the answers. Requests that were answered get the error batch, if there is one, and those that still wait
// the error missing.
func (r *responses) settle(batch, missing error) []Answer {
	answers := make([]Answer, len(r.outcomes))
	for i, o := range r.outcomes {
		switch {
		case o.Err != nil:
		case o.waiting:
			o.Answer = Answer{Err: fmt.Errorf("mapper: %w to request %s: %w", ErrUnanswered, quote(o.id), missing)}
		case batch != nil:
			o.Err = fmt.Errorf("mapper: %w", batch)
		}
		answers[i] = o.Answer
	}
	return answers
}
