package cli

import (
	"context"
	"io"
	"log/slog"
	"os"
	"time"

	"github.com/lmittmann/tint"
	"golang.org/x/term"
)

// How long a log that nobody reads may hold up the end of the server.
const logPatience = time.Second

// openLog makes a log that writes to w and never waits for it, and a function that ends it.
func openLog(w io.Writer, level slog.Leveler, format string) (log *slog.Logger, end func()) {
	writer := newLogWriter(w)
	return newLog(writer, isTerminal(w), level, format), func() {
		patience, cancel := context.WithTimeout(context.Background(), logPatience)
		defer cancel()
		writer.close(patience.Done())
	}
}

// newLog logs text for a person at a terminal, JSON for everything else, unless format says which ("text", "json").
func newLog(w io.Writer, terminal bool, level slog.Leveler, format string) *slog.Logger {
	if format == "json" || format != "text" && !terminal {
		return slog.New(slog.NewJSONHandler(w, &slog.HandlerOptions{Level: level}))
	}
	return slog.New(tint.NewTextHandler(w, &tint.Options{Level: level, TimeFormat: time.TimeOnly, NoColor: !terminal}))
}

func isTerminal(w any) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}
