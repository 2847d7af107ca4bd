package mapper

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// A chunked reader gives pieces of random length.
type chunked struct {
	io.Reader
	random *rand.Rand
}

func (c chunked) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	return c.Reader.Read(p[:1+c.random.IntN(min(len(p), 100))])
}

var (
	texts = rapid.StringMatching(`[^\n\r\x00]{0,20}`)
	keys  = rapid.StringMatching(`[^\n\r\x00=:]{1,8}`)
	names = rapid.StringMatching(`[^\n\r\x00 ][^\n\r\x00]{0,8}`)
)

func drawEntries(t *rapid.T) Entries {
	return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) Entry {
		return Entry{keys.Draw(t, "key"), texts.Draw(t, "value")}
	}), 0, 5).Draw(t, "entries")
}

// TestBothRoles joins the two roles by pipes without a buffer: whatever is asked, however it is cut, and in whatever
// order it is answered, every answer is credited to its own request.
func TestBothRoles(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		asked := make(map[string]Request)
		want := make(map[string]Response)
		var requests []Request
		for _, id := range rapid.SliceOfNDistinct(names, 0, 20, rapid.ID[string]).Draw(t, "ids") {
			r := Request{ID: id, Entries: drawEntries(t)}
			requests = append(requests, r)
			asked[id] = r
			want[id] = Response{Success: rapid.Bool().Draw(t, "verdict"), Text: texts.Draw(t, "text"), Entries: drawEntries(t)}
		}
		order := make([]string, len(requests))
		for i, r := range requests {
			order[i] = r.ID
		}
		order = rapid.Permutation(order).Draw(t, "order")
		seed := rapid.Uint64().Draw(t, "chunks")
		status := rapid.SampledFrom([]error{nil, nil, errors.New("exit status 1")}).Draw(t, "exit")

		app := startApp(func(in *io.PipeReader, out *io.PipeWriter) error {
			turns := newTurnstile(out, order)
			p := Program{Quiet: -1, MaxConcurrent: max(1, len(requests)), Handler: func(_ context.Context, r Request) Response {
				turns.wait(r.ID)
				if !slices.Equal(r.Entries, asked[r.ID].Entries) {
					return Response{Text: fmt.Sprintf("asked %q", r.Entries)}
				}
				return want[r.ID]
			}}
			random := rand.New(rand.NewPCG(seed, 1))
			return errors.Join(p.Serve(context.Background(), chunked{in, random}, turns), status)
		})
		output := chunked{app, rand.New(rand.NewPCG(seed, 2))}
		answers, c, err := ask(struct {
			io.Reader
			io.WriteCloser
			waiter
		}{output, app, app}, requests...)
		if err != nil {
			t.Fatal(err)
		}
		for i, a := range answers {
			r := want[requests[i].ID]
			r.Text = strings.TrimPrefix(r.Text, " ")
			if a.Success != r.Success || a.Text != r.Text || !slices.Equal(a.Entries, r.Entries) {
				t.Errorf("answer to %q: %+v, want %+v", requests[i].ID, a, r)
			}
			if a.Allowed() != (r.Success && status == nil) || errors.Is(a.Err, ErrExit) != (status != nil) {
				t.Errorf("answer to %q: %v with status %v", requests[i].ID, a.Err, status)
			}
		}
		if odd := c.Oddities(); len(odd) > 0 {
			t.Errorf("oddities: %q", odd)
		}
	})
}

type waiter interface{ Wait() error }

// TestManyRequests: a batch far beyond what a pipe holds, to an application that reads no more than it answers.
func TestManyRequests(t *testing.T) {
	var requests []Request
	for i := range 500 {
		value := strings.Repeat("x", 1000)
		requests = append(requests, Request{ID: fmt.Sprint(i), Entries: Entries{{"n", fmt.Sprint(i % 3)}, {"k", value}}})
	}
	app := startApp(func(in *io.PipeReader, out *io.PipeWriter) error {
		p := Program{MaxConcurrent: 2, Handler: func(_ context.Context, r Request) Response {
			n, _ := r.Entries.Get("n")
			return Response{Success: n == "0", Text: r.ID, Entries: r.Entries}
		}}
		return p.Serve(t.Context(), in, out)
	})
	answers, _, err := ask(app, requests...)
	if err != nil {
		t.Fatal(err)
	}
	for i, a := range answers {
		if a.Err != nil || a.Allowed() != (i%3 == 0) || a.Text != fmt.Sprint(i) {
			t.Errorf("answer %d: %t, %q, %v", i, a.Allowed(), a.Text, a.Err)
		}
	}
}
