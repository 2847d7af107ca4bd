package cli

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"jackfield"
)

// escapeKey ends a session at a raw terminal: Ctrl-], as in telnet.
const escapeKey = 0x1d

// joinTerminal joins a session to a terminal whose keys all go to the service, until either side ends it.
func joinTerminal(cmd *cobra.Command, stream jackfield.Stream, name jackfield.Name) error {
	keys := cmd.InOrStdin().(*os.File)
	fmt.Fprintf(cmd.ErrOrStderr(), "%s: Ctrl-] ends the session\n", name)
	before, err := term.MakeRaw(int(keys.Fd()))
	if err != nil {
		return err
	}
	defer func() {
		_ = term.Restore(int(keys.Fd()), before)
		fmt.Fprintf(cmd.ErrOrStderr(), "\n%s: the session is over\n", name)
	}()
	ctx, leave := context.WithCancel(cmd.Context())
	defer leave()
	err = join(ctx, stream, &keyReader{keys, leave}, cmd.OutOrStdout(), true)
	if ctx.Err() != nil && cmd.Context().Err() == nil {
		return nil // the person has left
	}
	return err
}

// A keyReader passes keys on up to the escape key.
type keyReader struct {
	keys  io.Reader
	leave func()
}

// Read implements io.Reader.
func (k *keyReader) Read(p []byte) (int, error) {
	n, err := k.keys.Read(p)
	if at := bytes.IndexByte(p[:n], escapeKey); at >= 0 {
		k.leave()
		return at, io.EOF
	}
	return n, err
}
