package compare

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"jackfield/bench/stats"
)

// factors gives each contestant a speed; the machine slows everybody down from round to round.
func plan(rounds int, factors map[string]float64, order *[]string) Plan[string] {
	slow := 0.0
	calls := 0
	p := Plan[string]{Rounds: rounds, Progress: func(string) {}}
	for _, name := range []string{"reference", "twin", "ours"} {
		p.Contestants = append(p.Contestants, Contestant[string]{Name: name, Subject: name})
	}
	p.Measures = []Measure[string]{{
		Key: "speed",
		Metrics: []Metric{
			{Name: "speed", Unit: "m/s", Target: Target{AtLeast: 0.8}},
			{Name: "cost", Unit: "KiB", Target: Target{AtMost: 16, Absolute: true}},
		},
		Sample: func(_ context.Context, name string) ([]float64, error) {
			if calls++; calls%3 == 1 {
				slow++
			}
			*order = append(*order, name)
			if factors[name] < 0 {
				return nil, errors.New("out of order")
			}
			return []float64{factors[name] * 1000 / slow, 12}, nil
		},
	}}
	return p
}

func TestEveryRoundSamplesEverybodyOnceInAnOrderDrawnAnew(t *testing.T) {
	var order []string
	if _, err := Run(t.Context(), plan(40, map[string]float64{"reference": 1, "twin": 1, "ours": 1}, &order)); err != nil {
		t.Fatal(err)
	}
	if len(order) != 120 {
		t.Fatalf("%d samples, want 120", len(order))
	}
	seen := make(map[string]int)
	for round := range slices.Chunk(order, 3) {
		seen[strings.Join(round, " ")]++
		if sorted := slices.Sorted(slices.Values(round)); !slices.Equal(sorted, []string{"ours", "reference", "twin"}) {
			t.Fatalf("a round sampled %v", round)
		}
	}
	if len(seen) < 3 {
		t.Errorf("40 rounds had only the orders %v", seen)
	}
}

func TestARatioDoesNotSeeWhatSlowsEverybodyDown(t *testing.T) {
	var order []string
	result, err := Run(t.Context(), plan(10, map[string]float64{"reference": 2, "twin": 2, "ours": 1}, &order))
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]float64{"twin": 1, "ours": 0.5} {
		ratios := result.Rows[0].Ratios(name, "reference")
		if len(ratios) != 10 || slices.Min(ratios) != want || slices.Max(ratios) != want {
			t.Errorf("%s: ratios %v, want ten times %v", name, ratios, want)
		}
	}
}

func TestASampleThatFailsIsMissingAndNamed(t *testing.T) {
	var order []string
	result, err := Run(t.Context(), plan(2, map[string]float64{"reference": 1, "twin": 1, "ours": -1}, &order))
	if err != nil {
		t.Fatal(err)
	}
	if n := len(result.Rows[0].Values("ours")); n != 0 {
		t.Errorf("%d samples of what failed", n)
	}
	want := []string{"round 1, speed, ours: out of order", "round 2, speed, ours: out of order"}
	if !slices.Equal(result.Failures, want) {
		t.Errorf("failures %q, want %q", result.Failures, want)
	}
}

func TestRunEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	enough := fmt.Errorf("enough")
	var order []string
	p := plan(1000, map[string]float64{"reference": 1, "twin": 1, "ours": 1}, &order)
	p.Progress = func(string) {
		if len(order) == 6 {
			cancel(enough)
		}
	}
	if _, err := Run(ctx, p); !errors.Is(err, enough) || len(order) != 7 {
		t.Errorf("ended by %v after %d samples", err, len(order))
	}
}

func TestRatiosPairByRound(t *testing.T) {
	row := Row{Samples: map[string][]Sample{
		"reference": {{0, 10}, {2, 40}, {3, 0}},
		"ours":      {{0, 5}, {1, 7}, {2, 10}, {3, 1}},
	}}
	if got, want := row.Ratios("ours", "reference"), []float64{0.5, 0.25}; !slices.Equal(got, want) {
		t.Errorf("ratios %v, want %v", got, want)
	}
}

func TestVerdict(t *testing.T) {
	for _, c := range []struct {
		name      string
		target    Target
		low, high float64
		want      string
	}{
		{"all above", Target{AtLeast: 0.95}, 0.95, 1.1, Met},
		{"all below", Target{AtLeast: 0.95}, 0.5, 0.94, Missed},
		{"one end above", Target{AtLeast: 0.95}, 0.5, 1.2, WithinNoise},
		{"ceiling kept", Target{AtMost: 1.2}, 0.9, 1.2, Met},
		{"ceiling broken", Target{AtMost: 1.2}, 1.21, 1.3, Missed},
		{"ceiling touched", Target{AtMost: 1.2}, 1.1, 1.3, WithinNoise},
		{"no target", Target{}, 1, 1, ""},
	} {
		if got := c.target.Verdict(stats.Interval{Low: c.low, High: c.high, Coverage: 0.98}); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
	if got := (Target{AtLeast: 1}).Verdict(stats.Interval{Low: 2, High: 2, Coverage: 0.9}); got != TooFew {
		t.Errorf("with too few rounds: %q", got)
	}
}

func TestTable(t *testing.T) {
	var order []string
	result, err := Run(t.Context(), plan(10, map[string]float64{"reference": 2, "twin": 2, "ours": 1}, &order))
	if err != nil {
		t.Fatal(err)
	}
	const want = `
| measure    | program   | median | ratio | 95 % interval  | target  | verdict |
| ---------- | --------- | ------ | ----- | -------------- | ------- | ------- |
| speed, m/s | reference | 367    |       |                |         |         |
|            | twin      | 367    | 1.00  | 1.00 to 1.00   |         |         |
|            | ours      | 183    | 0.50  | 0.50 to 0.50   | ≥ 0.8 × | missed  |
| cost, KiB  | reference | 12.0   |       | 12.0 to 12.0   |         |         |
|            | twin      | 12.0   |       | 12.0 to 12.0   |         |         |
|            | ours      | 12.0   |       | 12.0 to 12.0   | ≤ 16    | met     |
`
	var b strings.Builder
	if _, err := result.Table("ours").WriteTo(&b); err != nil {
		t.Fatal(err)
	}
	if got := "\n" + b.String(); squeeze(got) != squeeze(want) {
		t.Errorf("the table is%s", got)
	}
	lines := strings.Split(strings.TrimSpace(b.String()), "\n")
	for _, line := range lines {
		if len([]rune(line)) != len([]rune(lines[0])) {
			t.Errorf("the lines do not line up:\n%s", b.String())
			break
		}
	}
}

// squeeze makes the number of blanks and dashes not matter.
func squeeze(s string) string {
	for _, c := range []string{" ", "-"} {
		for strings.Contains(s, c+c) {
			s = strings.ReplaceAll(s, c+c, c)
		}
	}
	return s
}
