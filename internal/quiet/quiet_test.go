package quiet

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// A few lines of each reason pass at once, then one in a while, which says how many there were.
func TestFlood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var said bytes.Buffer
		log := New(slog.New(slog.NewTextHandler(&said, nil)), 3)
		lines := func() []string {
			defer said.Reset()
			return strings.Split(strings.TrimSuffix(said.String(), "\n"), "\n")
		}
		for range 100 {
			log.Note(slog.LevelWarn, "handshake", "closed", "source", "192.0.2.7")
		}
		got := lines()
		if len(got) != 3 || !strings.HasSuffix(got[2], `level=WARN msg=closed source=192.0.2.7 reason=handshake`) {
			t.Errorf("a flood says %q", got)
		}
		log.Note(slog.LevelInfo, "ticket", "closed")
		if got := lines(); len(got) != 1 || !strings.Contains(got[0], "reason=ticket") {
			t.Errorf("of another reason it says %q", got)
		}
		time.Sleep(Interval)
		for range 2 {
			log.Note(slog.LevelWarn, "handshake", "closed")
		}
		if got := lines(); len(got) != 1 || !strings.Contains(got[0], "more_since_last_line=97 ") {
			t.Errorf("later it says %q", got)
		}
		time.Sleep(time.Hour)
		for n := range 5 {
			if untold, due := log.Count("handshake"); due != (n < 3) || untold != 0 && n != 0 {
				t.Errorf("after an hour: %d untold, due: %v", untold, due)
			}
		}
	})
}
