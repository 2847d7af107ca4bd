package compare

import (
	"fmt"

	"jackfield/bench/stats"
)

// A Target is what the judged program must reach: a ratio to the reference, or a value of its own. The zero Target asks for
// nothing.
type Target struct {
	AtLeast  float64 `json:"at_least,omitempty"`
	AtMost   float64 `json:"at_most,omitempty"`
	Absolute bool    `json:"absolute,omitempty"` // the value itself counts, in the metric's unit
}

func (t Target) String() string {
	times := " ×"
	if t.Absolute {
		times = ""
	}
	switch {
	case t.AtLeast > 0:
		return fmt.Sprintf("≥ %g%s", t.AtLeast, times)
	case t.AtMost > 0:
		return fmt.Sprintf("≤ %g%s", t.AtMost, times)
	}
	return ""
}

// The verdicts on a target.
const (
	Met         = "met"          // the whole interval reaches it
	Missed      = "missed"       // the whole interval fails it
	WithinNoise = "within noise" // it lies within the interval
	TooFew      = "too few rounds"
)

// Verdict judges an interval; there is none without a target.
func (t Target) Verdict(i stats.Interval) string {
	switch {
	case t == Target{}:
		return ""
	case !i.Enough():
		return TooFew
	case t.reached(i.Low) && t.reached(i.High):
		return Met
	case !t.reached(i.Low) && !t.reached(i.High):
		return Missed
	}
	return WithinNoise
}

func (t Target) reached(v float64) bool {
	if t.AtLeast > 0 {
		return v >= t.AtLeast
	}
	return v <= t.AtMost
}
