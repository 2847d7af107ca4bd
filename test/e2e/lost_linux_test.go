package e2e

import (
	"slices"
	"syscall"
	"testing"

	"jackfield/test/live"
	"jackfield/wire/mihini"
)

// TestLost: what was open when the server was killed, sessions and a device's link, is closed in the audit by the next start:
// once, in its file and in the store.
func TestLost(t *testing.T) {
	t.Parallel()
	dir, echo := t.TempDir(), "echo="+startEcho(t)
	writeConfig(t, dir, officeConfig)
	var o *office
	start := func() {
		s, err := live.Serve(dir, "jackfield.hcl", echo)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { s.Stop(syscall.SIGKILL) })
		o = enter(t, s, dir)
	}
	kill := func() {
		if err := o.Stop(syscall.SIGKILL); err == nil {
			t.Fatal("the server was not killed")
		}
	}
	start()
	device := dialLink(t, o.Addresses["field"])
	device.send(t, frame(mihini.Listen, 0, ""))
	end(t, o.session(t)) // this one is not lost
	o.session(t)
	port := open(t, o.Server, "port")
	say(t, port, "hello")
	expect(t, port, "hello")
	o.expectRecords(t, 4, live.Equal("event", "open"))
	o.expectRecords(t, 1, live.Equal("event", "close"))
	kill()

	for range 2 { // the second time, nothing is left to be done
		start()
		lost := []live.Test{live.Equal("event", "close"), live.Equal("end", "lost"), live.Equal("bytes_from_client", "0")}
		o.expectRecords(t, 3, lost...)
		o.expectRecords(t, 1, append(lost, live.Equal("route", "link meter"))...)
		o.expectRecords(t, 1, append(lost, live.Equal("listener", "mux"), live.Equal("service", "echo"))...)
		o.expectRecords(t, 1, append(lost, live.Equal("listener", "port"))...)
		for place, lines := range map[string][]live.Line{"file": auditLines(t, dir), "store": o.records(t)} {
			if opened, closed := identifiers(lines, "open"), identifiers(lines, "close"); !slices.Equal(opened, closed) {
				t.Errorf("in the %s %v were opened and %v closed", place, opened, closed)
			}
		}
		kill()
	}
}

// identifiers returns the ids of the lines of an event, in order.
func identifiers(lines []live.Line, event string) (ids []string) {
	for _, line := range lines {
		if line["event"] == event {
			ids = append(ids, line["id"].(string))
		}
	}
	slices.Sort(ids)
	return ids
}
