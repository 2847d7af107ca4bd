package interop

import (
	"flag"
	"os"
	"strings"
	"sync"
	"testing"
)

var update = flag.Bool("update", false, "write the measured table into "+document)

const (
	document   = "../../docs/protocols/tcpmux.md"
	tableBegin = "<!-- table: begin -->\n"
	tableEnd   = "<!-- table: end -->\n"
)

// TestTable sends every input to every server and holds what comes back against the table in the documentation.
func TestTable(t *testing.T) {
	servers := start(t)
	measured := measure(t, servers)
	before, written, after := readDocument(t)
	if *update {
		text := before + tableBegin + "\n" + strings.Join(measured, "\n") + "\n\n" + tableEnd + after
		if err := os.WriteFile(document, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	compare(t, written, measured)
}

// measure returns the lines of the table.
func measure(t *testing.T, servers []*server) []string {
	t.Helper()
	const atOnce = 6 // per server
	cells := make([][]string, len(inputs))
	var running sync.WaitGroup
	for column, s := range servers {
		places := make(chan struct{}, atOnce)
		for row, in := range inputs {
			if column == 0 {
				cells[row] = make([]string, len(servers))
			}
			running.Go(func() {
				places <- struct{}{}
				defer func() { <-places }()
				got, err := exchange(s.address, in)
				if err != nil {
					t.Errorf("%s to %s: %v", in, s.name, err)
				}
				cells[row][column] = got.String()
			})
		}
	}
	running.Wait()
	if t.Failed() {
		t.FailNow()
	}
	return render(servers, cells)
}

func render(servers []*server, cells [][]string) []string {
	header, rule := "| sent |", "|---|"
	for _, s := range servers {
		header += " " + strings.TrimSpace(s.name+" "+s.version) + " |"
		rule += "---|"
	}
	lines := []string{header, rule}
	for row, in := range inputs {
		lines = append(lines, "| "+in.String()+" | "+strings.Join(cells[row], " | ")+" |")
	}
	return lines
}

func readDocument(t *testing.T) (before string, table []string, after string) {
	t.Helper()
	text, err := os.ReadFile(document)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, begins := strings.Cut(string(text), tableBegin)
	written, after, ends := strings.Cut(rest, tableEnd)
	if !begins || !ends {
		t.Fatalf("%s has no place for the table", document)
	}
	return before, strings.Split(strings.TrimSpace(written), "\n"), after
}

// compare leaves the header out, which holds the peers' versions: another one that behaves alike is no difference.
func compare(t *testing.T, written, measured []string) {
	t.Helper()
	if len(written) != len(measured) {
		t.Fatalf("%s has %d lines of table, %d were measured: go test ./test/interop -update", document, len(written), len(measured))
	}
	for i := range measured {
		if i > 0 && written[i] != measured[i] {
			t.Errorf("\ndocumented %s\nmeasured   %s", written[i], measured[i])
		}
	}
}
