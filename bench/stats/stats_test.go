package stats

import (
	"math"
	"math/rand/v2"
	"testing"
)

func TestMedian(t *testing.T) {
	for _, c := range []struct {
		name string
		xs   []float64
		want float64
	}{
		{"one", []float64{7}, 7},
		{"odd", []float64{9, 1, 5}, 5},
		{"even", []float64{4, 1, 3, 2}, 2.5},
		{"an outlier does not move it", []float64{1, 2, 1000}, 2},
	} {
		if got := Median(c.xs); got != c.want {
			t.Errorf("%s: median %v, want %v", c.name, got, c.want)
		}
	}
	if !math.IsNaN(Median(nil)) {
		t.Error("the median of nothing is a number")
	}
}

func TestMedianLeavesItsInputAlone(t *testing.T) {
	xs := []float64{3, 1, 2}
	Median(xs)
	Percentile(xs, 99)
	MedianInterval(xs)
	if xs[0] != 3 || xs[1] != 1 || xs[2] != 2 {
		t.Errorf("the samples were reordered: %v", xs)
	}
}

func TestPercentile(t *testing.T) {
	hundred := make([]float64, 100)
	for i := range hundred {
		hundred[i] = float64(100 - i)
	}
	for _, c := range []struct {
		name    string
		xs      []float64
		p, want float64
	}{
		{"half of 1 to 100", hundred, 50, 50},
		{"99 of 1 to 100", hundred, 99, 99},
		{"all of 1 to 100", hundred, 100, 100},
		{"of few, the greatest", []float64{1, 2, 3}, 99, 3},
		{"textbook, nearest rank", []float64{15, 20, 35, 40, 50}, 30, 20},
	} {
		if got := Percentile(c.xs, c.p); got != c.want {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}

// The coverages are those of the published tables for the sign test.
func TestMedianInterval(t *testing.T) {
	for _, c := range []struct {
		n         int
		low, high float64
		coverage  float64
		enough    bool
	}{
		{1, 1, 1, 0, false},
		{5, 1, 5, 0.9375, false},
		{6, 1, 6, 0.96875, true},
		{8, 1, 8, 0.9921875, true},
		{9, 2, 8, 0.9609375, true},
		{10, 2, 9, 0.978515625, true},
		{20, 6, 15, 0.958610535, true},
	} {
		xs := make([]float64, c.n)
		for i, v := range rand.Perm(c.n) {
			xs[i] = float64(v + 1)
		}
		got := MedianInterval(xs)
		if got.Low != c.low || got.High != c.high || math.Abs(got.Coverage-c.coverage) > 1e-8 || got.Enough() != c.enough {
			t.Errorf("%d samples: %+v (enough: %v), want %+v", c.n, got, got.Enough(), c)
		}
	}
}

func TestIntervalHoldsTheMedianAsOftenAsItSays(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	const trials = 20_000
	held := 0
	for range trials {
		xs := make([]float64, 10)
		for i := range xs {
			xs[i] = random.ExpFloat64() // skewed, as latencies are
		}
		if i := MedianInterval(xs); i.Low <= math.Ln2 && math.Ln2 <= i.High {
			held++
		}
	}
	if share := float64(held) / trials; math.Abs(share-0.9785) > 0.005 {
		t.Errorf("the interval held the median in %.4f of the trials, not in 0.9785", share)
	}
}
