package jetstream

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"testing"

	"go.uber.org/goleak"

	"jackfield/internal/store"
)

// The test binary is also the process that is traced and killed: $JACKFIELD_STORE_CHILD is its directory, and
// $JACKFIELD_STORE_WRITES how often it writes.
const (
	childDir    = "JACKFIELD_STORE_CHILD"
	childWrites = "JACKFIELD_STORE_WRITES"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(childDir); dir != "" {
		if err := beChild(dir, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}

// child is a command that writes to the store in a directory, and tells each write on its standard output once it was
// acknowledged.
func child(t *testing.T, dir string, writes int, wrapper ...string) *exec.Cmd {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	line := append(wrapper, exe)
	cmd := exec.CommandContext(t.Context(), line[0], line[1:]...)
	cmd.Env = append(os.Environ(), childDir+"="+dir, childWrites+"="+strconv.Itoa(writes))
	cmd.Stderr = os.Stderr
	return cmd
}

// keys is how many keys the child uses.
const keys = 5

// beChild goes on from what it finds: key.k<i> holds the number of the write, as does each record of the journal.
func beChild(dir string, acknowledge io.Writer) error {
	writes, err := strconv.Atoi(os.Getenv(childWrites))
	if err != nil {
		return err
	}
	ctx := context.Background()
	s, err := Open(ctx, Options{Dir: dir})
	if err != nil {
		return err
	}
	defer s.Close()
	j, err := s.Journal(ctx, "audit", store.Retention{})
	if err != nil {
		return err
	}
	_, n, err := j.Bounds(ctx)
	if err != nil {
		return err
	}
	for range writes {
		n++
		if err := childWrite(ctx, s, j, n); err != nil {
			return err
		}
		if _, err := fmt.Fprintln(acknowledge, token(n)); err != nil {
			return err
		}
	}
	return nil
}

// childWrite replaces an entry, or removes it, and appends a record.
func childWrite(ctx context.Context, s store.Store, j store.Journal, n uint64) error {
	key := fmt.Sprintf("key.k%d", n%keys)
	e, err := s.Get(ctx, key)
	missing := errors.Is(err, store.ErrNotFound)
	switch {
	case missing && isDeletion(n): // done already, but not acknowledged
		err = nil
	case missing:
		_, err = s.Create(ctx, key, []byte(token(n)))
	case err == nil && isDeletion(n):
		err = s.Delete(ctx, key, e.Revision)
	case err == nil:
		_, err = s.Update(ctx, key, []byte(token(n)), e.Revision)
	}
	if err != nil {
		return err
	}
	_, err = j.Append(ctx, []byte(token(n)))
	return err
}

func isDeletion(n uint64) bool { return n%23 == 0 }

func token(n uint64) string { return fmt.Sprintf("write-%08d", n) }

// acknowledged reads what a child tells.
func acknowledged(r io.Reader) func() (n uint64, more bool) {
	lines := bufio.NewScanner(r)
	return func() (n uint64, more bool) {
		if !lines.Scan() {
			return 0, false
		}
		_, err := fmt.Sscanf(lines.Text(), "write-%d", &n)
		return n, err == nil
	}
}
