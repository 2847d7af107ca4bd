// Package stats reduces samples of a noisy machine to what may be said about them: medians, percentiles, and the
// confidence interval of a median that assumes nothing about how the samples are distributed.
package stats

import (
	"math"
	"slices"
)

// Confidence is the coverage that an interval must have to be called one.
const Confidence = 0.95

// Median returns the middle of xs, NaN if there are none.
func Median(xs []float64) float64 {
	n := len(xs)
	if n == 0 {
		return math.NaN()
	}
	s := slices.Sorted(slices.Values(xs))
	return (s[(n-1)/2] + s[n/2]) / 2
}

// Percentile returns the smallest of xs that at least p percent of xs do not exceed (nearest rank), NaN if there are none.
func Percentile(xs []float64, p float64) float64 {
	n := len(xs)
	if n == 0 {
		return math.NaN()
	}
	rank := int(math.Ceil(p / 100 * float64(n)))
	return slices.Sorted(slices.Values(xs))[min(max(rank, 1), n)-1]
}

// An Interval holds the median of what was sampled with the probability Coverage.
type Interval struct {
	Low      float64 `json:"low"`
	High     float64 `json:"high"`
	Coverage float64 `json:"coverage"`
}

// Enough says whether there were enough samples for the usual confidence: six at least.
func (i Interval) Enough() bool { return i.Coverage >= Confidence }

// MedianInterval returns the narrowest pair of order statistics of xs, the same number from either end, that holds the
// median with the usual confidence: the interval that belongs to the sign test. Below six samples no pair does, and the
// interval is from the least to the greatest, with the coverage which that has.
func MedianInterval(xs []float64) Interval {
	n := len(xs)
	if n == 0 {
		return Interval{Low: math.NaN(), High: math.NaN()}
	}
	s := slices.Sorted(slices.Values(xs))
	cut, coverage := 0, 1-2*halfBinomial(n, 0)
	for k := 1; k < n/2; k++ {
		c := 1 - 2*halfBinomial(n, k)
		if c < Confidence {
			break
		}
		cut, coverage = k, c
	}
	return Interval{Low: s[cut], High: s[n-1-cut], Coverage: coverage}
}

// halfBinomial is the probability of at most k heads in n throws of a fair coin.
func halfBinomial(n, k int) float64 {
	term := math.Pow(0.5, float64(n))
	sum := term
	for i := range k {
		term *= float64(n-i) / float64(i+1)
		sum += term
	}
	return sum
}
