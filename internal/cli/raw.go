package cli

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"sync"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"jackfield"
)

// escapeKey ends a session at a raw terminal: Ctrl-], as in telnet.
const escapeKey = 0x1d

// joinTerminal joins a session to a terminal whose keys all go to the service, until either side ends it. The terminal is as it
// was before, whatever the end: the service's, the escape key, a signal, a panic.
func joinTerminal(cmd *cobra.Command, stream jackfield.Stream, name jackfield.Name) error {
	keys := cmd.InOrStdin().(*os.File)
	fmt.Fprintf(cmd.ErrOrStderr(), "%s: Ctrl-] ends the session\n", name)
	before, err := term.MakeRaw(int(keys.Fd()))
	if err != nil {
		return err
	}
	restore := sync.OnceFunc(func() { _ = term.Restore(int(keys.Fd()), before) })
	defer func() {
		restore()
		fmt.Fprintf(cmd.ErrOrStderr(), "\n%s: the session is over\n", name)
	}()
	ctx, leave := context.WithCancel(cmd.Context())
	defer leave()
	stop := context.AfterFunc(ctx, func() { stream.Close() })
	defer stop()
	heard := make(chan error, 1)
	go untilPanic(restore, func() {
		_, _ = io.Copy(stream, &keyReader{keys: keys, leave: leave})
		_ = stream.CloseWrite()
	})
	go untilPanic(restore, func() {
		_, err := io.Copy(cmd.OutOrStdout(), stream)
		heard <- explain(err)
	})
	select { // a terminal that takes no output is not waited for
	case err = <-heard:
	case <-ctx.Done():
	}
	switch {
	case cmd.Context().Err() != nil:
		return cmd.Context().Err()
	case ctx.Err() != nil: // the person has left
		return nil
	}
	return err
}

// untilPanic calls do, and restore only if that panics, which ends the process.
func untilPanic(restore, do func()) {
	finished := false
	defer func() {
		if !finished {
			restore()
		}
	}()
	do()
	finished = true
}

// A keyReader passes keys on up to the escape key, and calls leave after them.
type keyReader struct {
	keys  io.Reader
	leave func()

	escaped bool
}

// Read implements io.Reader.
func (k *keyReader) Read(p []byte) (int, error) {
	if k.escaped {
		k.leave()
		return 0, io.EOF
	}
	n, err := k.keys.Read(p)
	if at := bytes.IndexByte(p[:n], escapeKey); at >= 0 {
		k.escaped = true
		return at, nil
	}
	return n, err
}
