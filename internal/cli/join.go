package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"

	"jackfield/wire/tcpmux"
)

// join copies in to conn and conn to out until both have ended; the end of one ends only that direction, and a file that is out
// is closed then, for whoever reads it to know. Only a person at a terminal is not waited for once the service has said all.
func join(ctx context.Context, conn net.Conn, in io.Reader, out io.Writer, person bool) error {
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	sent := make(chan error, 1)
	go func() {
		_, err := io.Copy(conn, in)
		if half, ok := conn.(interface{ CloseWrite() error }); ok {
			err = errors.Join(err, half.CloseWrite())
		}
		sent <- err
	}()
	if _, err := io.Copy(out, conn); err != nil {
		return explain(err)
	}
	if person {
		return nil
	}
	if file, ok := out.(*os.File); ok {
		file.Close()
	}
	return explain(<-sent)
}

var errReset = errors.New("the connection was reset: the service broke it, or the server cut the session")

func explain(err error) error {
	var refused *tcpmux.RefusedError
	if errors.As(err, &refused) {
		return fmt.Errorf("refused by the server: %s", visible(refused.Text))
	}
	switch {
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, io.ErrUnexpectedEOF): // the latter: TLS was cut short
		return errReset
	case errors.Is(err, syscall.EPIPE): // whoever reads our output, or the service, has had enough
		return nil
	}
	return err
}
