package builtin

import (
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"
)

func TestPipeHalfClose(t *testing.T) {
	a, b := pipe()
	io.WriteString(a, "question")
	a.CloseWrite()
	if err := iotest.TestReader(b, []byte("question")); err != nil {
		t.Error(err)
	}
	io.WriteString(b, "answer")
	b.Close()
	if got, err := io.ReadAll(a); string(got) != "answer" || err != nil {
		t.Errorf("read %q, %v after the other end closed", got, err)
	}
	if _, err := a.Write([]byte("x")); !errors.Is(err, net.ErrClosed) {
		t.Errorf("write after CloseWrite: %v", err)
	}
}

func TestPipeClosed(t *testing.T) {
	a, b := pipe()
	a.Close()
	a.Close()
	if _, err := a.Read(make([]byte, 1)); !errors.Is(err, net.ErrClosed) {
		t.Errorf("read after Close: %v", err)
	}
	if _, err := b.Write([]byte("x")); !errors.Is(err, syscall.EPIPE) {
		t.Errorf("write to a closed end: %v", err)
	}
	if _, err := b.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("read from a closed end: %v", err)
	}
}

// A writer waits when the queue is full, and goes on when the reader takes something.
func TestPipeBackPressure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := pipe()
		defer b.Close()
		sent := strings.Repeat("x", queueSize+1)
		written := make(chan error, 1)
		go func() {
			_, err := io.WriteString(a, sent)
			a.Close()
			written <- err
		}()
		synctest.Wait()
		if len(written) != 0 {
			t.Fatal("the writer did not wait")
		}
		if got, err := io.ReadAll(b); string(got) != sent || err != nil {
			t.Errorf("read %d bytes, %v", len(got), err)
		}
		if err := <-written; err != nil {
			t.Error(err)
		}
	})
}

func TestPipeCloseEndsWaiting(t *testing.T) {
	for name, test := range map[string]struct {
		closer func(a, b io.Closer) error
		read   error
		write  error
	}{
		"own end":   {func(a, _ io.Closer) error { return a.Close() }, net.ErrClosed, net.ErrClosed},
		"other end": {func(_, b io.Closer) error { return b.Close() }, io.EOF, syscall.EPIPE},
	} {
		synctest.Test(t, func(t *testing.T) {
			a, b := pipe()
			read, written := make(chan error, 1), make(chan error, 1)
			go func() { _, err := a.Read(make([]byte, 1)); read <- err }()
			go func() { _, err := a.Write(make([]byte, 2*queueSize)); written <- err }()
			synctest.Wait()
			test.closer(a, b)
			if err := <-read; !errors.Is(err, test.read) {
				t.Errorf("%s closed: read %v, want %v", name, err, test.read)
			}
			if err := <-written; !errors.Is(err, test.write) {
				t.Errorf("%s closed: write %v, want %v", name, err, test.write)
			}
		})
	}
}

func TestPipeDeadlines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := pipe()
		defer a.Close()
		defer b.Close()
		operations := map[string]func() (int, error){
			"read":  func() (int, error) { return a.Read(make([]byte, 1)) },
			"write": func() (int, error) { return a.Write(make([]byte, 2*queueSize)) },
		}
		for name, operation := range operations {
			began := time.Now()
			a.SetDeadline(began.Add(time.Hour))
			a.SetDeadline(began.Add(time.Second)) // replaces the first
			_, err := operation()
			if !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(began) != time.Second {
				t.Errorf("%s: %v after %v, want the deadline after 1s", name, err, time.Since(began))
			}
			if _, err := operation(); !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(began) != time.Second {
				t.Errorf("%s: %v, want the deadline again at once", name, err)
			}
		}
		a.SetDeadline(past)
		a.SetDeadline(time.Time{}) // cleared
		io.WriteString(b, "x")
		if _, err := operations["read"](); err != nil {
			t.Errorf("read with the deadline cleared: %v", err)
		}
	})
}

// A deadline in the past ends what already waits.
func TestPipeDeadlineEndsWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := pipe()
		defer a.Close()
		defer b.Close()
		read := make(chan error, 1)
		go func() { _, err := a.Read(make([]byte, 1)); read <- err }()
		synctest.Wait()
		a.SetReadDeadline(past)
		if err := <-read; !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Error(err)
		}
	})
}
