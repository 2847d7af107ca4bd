// Package journal keeps the audit in the store, beside the file: every line that the file has, of all the servers that share
// the store, to be asked for and followed.
//
//	j, err := st.Journal(ctx, journal.Name, store.Retention{MaxAge: 90 * 24 * time.Hour, MaxBytes: 1 << 30})
//	if err != nil {
//		return err
//	}
//	w := journal.NewWriter(j, journal.Options{Server: "k3vq", Log: slog.Default()})
//	log, err := audit.Open(audit.Options{Path: path, Sink: w, Log: slog.Default()})
//	if err != nil {
//		return err
//	}
//	if err := journal.Recover(ctx, log, w); err != nil { // before the first listener serves
//		return err
//	}
//	…
//	log.Close() // first: it may still have lines to write
//	w.Close(ctx)
//
//	page, err := journal.NewReader(j).Query(ctx, journal.Filter{User: "ada"}, journal.Cursor{}, 100)
//
// The rules:
//   - The file comes first and nobody waits for the journal: while the store is away, lines wait in a bounded queue; what does
//     not fit is counted in a line "lost", which only the journal has.
//   - A server's lines stand in the order of its file, each once.
//   - What one call of Query does is bounded, whatever the filter and the size of the journal.
//   - What cannot be read in the journal is left out and counted.
//
// A record of the journal (see format.go) holds as many lines as were waiting when it was written. Which lines of the file did
// not get there before the server was killed, and which the file lost when the machine was, Recover finds out and puts right.
//
// The package knows nothing of who may see the audit, and nothing of any particular store.
package journal

// Name is what the journal is called in the store.
const Name = "audit"
