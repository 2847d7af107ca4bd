// Package compare measures several programs side by side on a noisy machine and says no more than the samples carry.
//
// In every round every contestant is sampled once, one right after the other and in an order drawn anew, so that what
// disturbs the machine disturbs all of them. What counts is the ratio of two samples of the same round. The reference runs
// twice under two names: the ratio of the two (the A/A row) is what the machine's noise alone looks like.
package compare

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
)

// A Contestant is one program under its name.
type Contestant[C any] struct {
	Name    string
	Subject C
}

// A Measure takes one sample, which has a value for each of its metrics, in their order.
type Measure[C any] struct {
	Key     string // how a person selects it
	Metrics []Metric
	Sample  func(ctx context.Context, subject C) ([]float64, error)
}

// A Metric is one thing that is measured.
type Metric struct {
	Name   string `json:"name"`
	Unit   string `json:"unit"`
	Target Target `json:"target,omitzero"`
}

// ErrNotOffered is what Sample returns for a subject that has nothing of the kind. That is no failure: it has no value.
var ErrNotOffered = errors.New("not offered")

// A Plan is what to compare. The first contestant is the reference.
type Plan[C any] struct {
	Rounds      int
	Contestants []Contestant[C]
	Measures    []Measure[C]
	Progress    func(text string) // told what comes next
}

// A Result holds every sample that was taken.
type Result struct {
	Contestants []string `json:"contestants"` // the reference first
	Rows        []Row    `json:"rows"`
	Failures    []string `json:"failures,omitempty"` // samples that could not be taken, and why
}

// A Row is one metric of all contestants.
type Row struct {
	Metric  Metric              `json:"metric"`
	Samples map[string][]Sample `json:"samples"` // by contestant
}

// A Sample is one value, and the round in which it was taken.
type Sample struct {
	Round int     `json:"round"`
	Value float64 `json:"value"`
}

// Run goes through the rounds. A sample that fails is missing from the result and named there; only the end of ctx ends a
// run early.
func Run[C any](ctx context.Context, plan Plan[C]) (*Result, error) {
	result := plan.empty()
	for round := range plan.Rounds {
		row := 0
		for _, m := range plan.Measures {
			plan.Progress(fmt.Sprintf("round %d of %d: %s", round+1, plan.Rounds, m.Key))
			for _, k := range rand.Perm(len(plan.Contestants)) {
				c := plan.Contestants[k]
				values, err := m.Sample(ctx, c.Subject)
				if ctx.Err() != nil {
					return nil, context.Cause(ctx)
				}
				if errors.Is(err, ErrNotOffered) {
					continue
				}
				if err != nil {
					result.fail(round, m.Key, c.Name, err)
					continue
				}
				result.add(row, round, c.Name, values)
			}
			row += len(m.Metrics)
		}
	}
	return result, nil
}

func (p Plan[C]) empty() *Result {
	r := new(Result)
	for _, c := range p.Contestants {
		r.Contestants = append(r.Contestants, c.Name)
	}
	for _, m := range p.Measures {
		for _, metric := range m.Metrics {
			r.Rows = append(r.Rows, Row{Metric: metric, Samples: make(map[string][]Sample)})
		}
	}
	return r
}

func (r *Result) add(row, round int, name string, values []float64) {
	for k, v := range values {
		samples := r.Rows[row+k].Samples
		samples[name] = append(samples[name], Sample{Round: round, Value: v})
	}
}

func (r *Result) fail(round int, key, name string, err error) {
	r.Failures = append(r.Failures, fmt.Sprintf("round %d, %s, %s: %v", round+1, key, name, err))
}

// Against returns the part of the result that compares some contestants with another reference than the plan's.
func (r *Result) Against(reference string, names ...string) *Result {
	part := &Result{Contestants: append([]string{reference}, names...)}
	for _, row := range r.Rows {
		if len(row.Samples[reference]) > 0 {
			part.Rows = append(part.Rows, row)
		}
	}
	return part
}

// Values returns the samples of a contestant.
func (r Row) Values(name string) []float64 {
	values := make([]float64, 0, len(r.Samples[name]))
	for _, s := range r.Samples[name] {
		values = append(values, s.Value)
	}
	return values
}

// Ratios divides the samples of a contestant by those of the reference in the same round, where both have one.
func (r Row) Ratios(name, reference string) []float64 {
	base := make(map[int]float64)
	for _, s := range r.Samples[reference] {
		base[s.Round] = s.Value
	}
	var ratios []float64
	for _, s := range r.Samples[name] {
		if b := base[s.Round]; b > 0 {
			ratios = append(ratios, s.Value/b)
		}
	}
	return ratios
}
