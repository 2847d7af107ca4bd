package importer

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
)

// Lists that every service inherits, and listeners, which are compared with each other, are bounded whatever they are
// written as. The service is left out then: it fails closed.
func TestListsAreBounded(t *testing.T) {
	const service = "service s\n{\ntype = UNLISTED\nport = 99\nwait = no\nsocket_type = stream\nuser = root\nserver = /bin/cat\n}\n"
	octets := "10.0.0.{0" + strings.Repeat(",1", 250) + "}"
	for _, test := range []struct {
		name, source, wanted string
		run                  importFunc
	}{
		{"unknown names taken away", "defaults\n{\nonly_from -=" + strings.Repeat(" q", maxList+1) + "\n}\n" + service,
			"service s, f:5: in the defaults, only_from -=", options.Xinetd},
		{"networks in braces", "defaults\n{\nonly_from =" + strings.Repeat(" "+octets, 4) + "\n}\n" + service,
			"service s, f:5: in the defaults, only_from +=", options.Xinetd},
		{"addresses of a line", loopbacks(0, maxList+1) + ":99 stream tcp nowait root /bin/cat\n",
			"it has more than 1000 addresses", options.Inetd},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, result := translate(t, test.run, "f", test.source)
			if result.Services != 0 || result.Listeners != 0 || !strings.Contains(got, test.wanted) {
				t.Errorf("%q is not in %.2000s", test.wanted, got)
			}
		})
	}
}

func TestTooManyListeners(t *testing.T) {
	var source strings.Builder
	for i := range maxEntries/maxList + 1 {
		fmt.Fprintf(&source, "%s:7 stream tcp nowait root /bin/cat\n", loopbacks(maxList*i, maxList))
	}
	_, err := options.Inetd(File{Name: "f", Data: []byte(source.String())})
	if err == nil || !strings.Contains(err.Error(), "more than 2000 listeners") {
		t.Errorf("the error is %v", err)
	}
}

// loopbacks are addresses in 127.0.0.0/8, with commas between them.
func loopbacks(first, count int) string {
	list := make([]string, count)
	for i := range list {
		n := first + i
		list[i] = fmt.Sprintf("127.%d.%d.%d", n>>16, n>>8&255, n&255)
	}
	return strings.Join(list, ",")
}

// A line that is continued many times costs what its bytes cost, not their square.
func TestContinuedLine(t *testing.T) {
	source := "99 stream tcp nowait root /bin/cat \"\n" + strings.Repeat(" x\n", 50_000)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	got, _ := translate(t, options.Inetd, "f", source)
	runtime.ReadMemStats(&after)
	if !strings.Contains(got, "# not translated: 99 stream tcp") {
		t.Errorf("got %.500s", got)
	}
	if allocated := after.TotalAlloc - before.TotalAlloc; allocated > 500*uint64(len(source)) {
		t.Errorf("%d bytes were allocated for a source of %d", allocated, len(source))
	}
}
