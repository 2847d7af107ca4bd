package relay

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"jackfield"
)

// Who does not read stops the sender; nothing is lost when the reading begins.
func TestBackPressure(t *testing.T) {
	t.Parallel()
	const inKernel = 64 << 20 // far above what four sockets may buffer
	l := join(t, t.Context(), tcpPair, tcpPair, Options{})
	block := randomBytes(3, 1<<20)
	sent := sha256.New()
	total := int64(0)
	write := func(p []byte) error {
		n, err := l.client.Write(p)
		sent.Write(p[:n])
		total += int64(n)
		return err
	}

	must(t, l.client.SetWriteDeadline(time.Now().Add(time.Second)))
	var err error
	for err == nil && total < inKernel {
		err = write(block)
	}
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("nobody reads, yet %d bytes could be written (%v)", total, err)
	}

	must(t, l.client.SetWriteDeadline(time.Time{}))
	got := sha256.New()
	var reading sync.WaitGroup
	reading.Go(func() { io.Copy(got, l.service) })
	for range 8 {
		must(t, write(block))
	}
	must(t, l.client.CloseWrite())
	reading.Wait()
	if !bytes.Equal(sent.Sum(nil), got.Sum(nil)) {
		t.Error("what arrived is not what was sent")
	}
	must(t, l.service.Close())
	l.ends(jackfield.EndFinished, total, 0)
}

// Whatever the two ends write, and whenever they end their direction, every byte arrives in order, then the end.
func TestEveryByteInOrder(t *testing.T) {
	t.Parallel()
	eachWire(t, func(t *testing.T, w wire) {
		sizes := rapid.SliceOfN(rapid.OneOf(rapid.IntRange(0, 100), rapid.IntRange(0, 300<<10)), 0, 12)
		rapid.Check(t, func(rt *rapid.T) {
			fromClient, fromService := sizes.Draw(rt, "client's writes"), sizes.Draw(rt, "service's writes")
			answers := rapid.Bool().Draw(rt, "service waits for the client's end")

			l := join(t, t.Context(), w, w, Options{})
			var clientEnded sync.WaitGroup
			clientEnded.Add(1)
			results := make(chan error, 4)
			go func() { results <- send(l.client, 1, fromClient) }()
			go func() {
				err := receive(l.service, 1, fromClient)
				clientEnded.Done()
				results <- err
			}()
			go func() {
				if answers {
					clientEnded.Wait()
				}
				results <- send(l.service, 2, fromService)
			}()
			go func() { results <- receive(l.client, 2, fromService) }()
			for range cap(results) {
				if err := <-results; err != nil {
					rt.Fatal(err)
				}
			}
			l.ends(jackfield.EndFinished, sum(fromClient), sum(fromService))
			l.client.Close()
			l.service.Close()
		})
	})
}

// send writes pieces of the sizes given out of one random sequence, then ends the direction.
func send(s jackfield.Stream, seed uint64, sizes []int) error {
	all := randomBytes(seed, int(sum(sizes)))
	for _, size := range sizes {
		if _, err := s.Write(all[:size]); err != nil {
			return err
		}
		all = all[size:]
	}
	return s.CloseWrite()
}

// receive reads to the end and compares with what send sent.
func receive(s jackfield.Stream, seed uint64, sizes []int) error {
	got, err := io.ReadAll(s)
	if err != nil {
		return err
	}
	if !bytes.Equal(got, randomBytes(seed, int(sum(sizes)))) {
		return fmt.Errorf("the %d bytes that arrived are not the %d that were sent", len(got), sum(sizes))
	}
	return nil
}

func sum(sizes []int) (total int64) {
	for _, size := range sizes {
		total += int64(size)
	}
	return total
}
