package compare

import (
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"unicode/utf8"

	"jackfield/bench/stats"
)

// A Table is text in columns, which prints as Markdown and lines up as plain text.
type Table struct {
	Head []string
	Rows [][]string
}

// WriteTo prints the table.
func (t Table) WriteTo(w io.Writer) (int64, error) {
	widths := make([]int, len(t.Head))
	for _, row := range append([][]string{t.Head}, t.Rows...) {
		for k, cell := range row {
			widths[k] = max(widths[k], utf8.RuneCountInString(cell))
		}
	}
	var b strings.Builder
	line := func(cells []string, fill string) {
		for k, width := range widths {
			b.WriteString("| " + cells[k] + strings.Repeat(fill, width-utf8.RuneCountInString(cells[k])) + " ")
		}
		b.WriteString("|\n")
	}
	line(t.Head, " ")
	line(make([]string, len(widths)), "-")
	for _, row := range t.Rows {
		line(row, " ")
	}
	n, err := io.WriteString(w, b.String())
	return int64(n), err
}

// Table sums the result up: for every metric and contestant the median, and of the ratio to the reference the median and its
// interval. Targets are those of the contestants judged.
func (r *Result) Table(judged ...string) Table {
	t := Table{Head: []string{"measure", "program", "median", "ratio", "95 % interval", "target", "verdict"}}
	for _, row := range r.Rows {
		for k, name := range r.Contestants {
			label := ""
			if k == 0 {
				label = row.Metric.Name + ", " + row.Metric.Unit
			}
			t.Rows = append(t.Rows, append([]string{label, name}, r.cells(row, name, slices.Contains(judged, name))...))
		}
	}
	return t
}

// cells are median, ratio, interval, target and verdict. Where the target is a value of its own, values are not divided,
// and the interval is that of the value.
func (r *Result) cells(row Row, name string, judged bool) []string {
	reference, target := r.Contestants[0], row.Metric.Target
	values := row.Values(name)
	cells := []string{number(stats.Median(values)), "", "", "", ""}
	if !target.Absolute {
		if name == reference {
			return cells
		}
		values = row.Ratios(name, reference)
		cells[1] = number(stats.Median(values))
	}
	interval := stats.MedianInterval(values)
	cells[2] = span(interval)
	if judged {
		cells[3], cells[4] = target.String(), target.Verdict(interval)
	}
	return cells
}

// span prints an interval, and how little it covers where there were too few samples.
func span(i stats.Interval) string {
	if math.IsNaN(i.Low) {
		return ""
	}
	text := fmt.Sprintf("%s to %s", number(i.Low), number(i.High))
	if !i.Enough() {
		text += fmt.Sprintf(" (%.0f %% only)", 100*i.Coverage)
	}
	return text
}

// number prints three significant digits and all of those before the point.
func number(v float64) string {
	switch {
	case math.IsNaN(v):
		return "none"
	case math.Abs(v) >= 100:
		return fmt.Sprintf("%.0f", v)
	case math.Abs(v) >= 10:
		return fmt.Sprintf("%.1f", v)
	}
	return fmt.Sprintf("%.2f", v)
}
