package mihini

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"
)

// story is what one stream does: what each side says, in pieces with pauses, and who ends it how.
type story struct {
	request, answer []int // sizes
	pause           time.Duration
	atEOF           bool // the service answers after the client's end
	cut             bool // the client closes without reading to the end
}

func drawStory(t *rapid.T) story {
	sizes := rapid.SliceOfN(rapid.OneOf(rapid.IntRange(1, 100), rapid.IntRange(1, 100<<10)), 0, 5)
	return story{
		request: sizes.Draw(t, "request"),
		answer:  sizes.Draw(t, "answer"),
		pause:   time.Duration(rapid.IntRange(0, 50).Draw(t, "pause")) * time.Millisecond,
		atEOF:   rapid.Bool().Draw(t, "at EOF"),
		cut:     rapid.IntRange(0, 4).Draw(t, "cut") == 0,
	}
}

// text is what is said: no two streams and directions say the same.
func text(seed string, sizes []int) []byte {
	total := 0
	for _, n := range sizes {
		total += n
	}
	var key [32]byte
	copy(key[:], seed)
	b := make([]byte, total)
	rand.NewChaCha8(key).Read(b)
	return b
}

func tell(w io.Writer, b []byte, sizes []int, pause time.Duration) error {
	for _, n := range sizes {
		if _, err := w.Write(b[:n]); err != nil {
			return err
		}
		b = b[n:]
		time.Sleep(pause)
	}
	return nil
}

// serve is the service of a story. It is told which one by the first 8 bytes.
func (p *pair) serve(stories []story) {
	conn := <-p.dialed
	defer conn.Close()
	name := make([]byte, 8)
	if _, err := io.ReadFull(conn, name); err != nil {
		return // cut before
	}
	var n int
	fmt.Sscanf(string(name), "%8d", &n)
	st := stories[n]
	read := func() {
		want := text("request "+string(name), st.request)
		got, _ := io.ReadAll(conn)
		if !bytes.Equal(got, want) && !(st.cut && bytes.HasPrefix(want, got)) {
			p.t.Errorf("story %d: the service got %d bytes of %d", n, len(got), len(want))
		}
	}
	var reading sync.WaitGroup
	defer reading.Wait()
	if st.atEOF {
		read()
	} else {
		reading.Go(read)
		defer conn.in.readBy.stop()
	}
	err := tell(conn, text("answer "+string(name), st.answer), st.answer, st.pause)
	if err != nil && !st.cut {
		p.t.Errorf("story %d: the service could not answer: %v", n, err)
	}
	if !st.atEOF { // a service's end is the stream's: it waits for the request
		reading.Wait()
	}
	conn.CloseWrite()
}

func (p *pair) use(n int, st story) {
	stream, err := p.server.Open(p.t.Context(), Target{"svc", 1})
	if err != nil {
		p.t.Errorf("story %d: %v", n, err)
		return
	}
	defer stream.Close()
	name := fmt.Sprintf("%8d", n)
	var talking sync.WaitGroup
	defer talking.Wait()
	talking.Go(func() {
		_, err := io.WriteString(stream, name)
		if err == nil {
			err = tell(stream, text("request "+name, st.request), st.request, st.pause)
		}
		if err == nil {
			err = stream.CloseWrite()
		}
		if err != nil && !st.cut {
			p.t.Errorf("story %d: the client could not ask: %v", n, err)
		}
	})
	want := text("answer "+name, st.answer)
	if st.cut {
		got := make([]byte, len(want)/2)
		io.ReadFull(stream, got)
		stream.Close()
		if !bytes.Equal(got, want[:len(got)]) {
			p.t.Errorf("story %d: another answer", n)
		}
		return
	}
	if got, err := io.ReadAll(stream); err != nil || !bytes.Equal(got, want) {
		p.t.Errorf("story %d: the client got %d bytes of %d, %v", n, len(got), len(want), err)
	}
}

// TestEveryByteInOrder: whatever streams do, in whatever order, every byte arrives where it belongs, and nothing is
// left.
func TestEveryByteInOrder(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		stories := rapid.SliceOfN(rapid.Custom(drawStory), 1, 20).Draw(rt, "stories")
		delays := rapid.SliceOfN(rapid.IntRange(0, 30), len(stories), len(stories)).Draw(rt, "delays")
		bubble(t, func(t *testing.T) {
			p := newPair(t, ServerOptions{CloseDelay: -1}, DeviceOptions{})
			var all sync.WaitGroup
			for n, st := range stories {
				all.Go(func() { p.serve(stories) })
				all.Go(func() {
					time.Sleep(time.Duration(delays[n]) * time.Millisecond)
					p.use(n, st)
				})
			}
			all.Wait()
			synctest.Wait()
			for _, s := range []Stats{p.server.Stats(), p.device.Stats()} {
				if s.Open != 0 || s.Queued != 0 || s.Stalled != 0 || s.ProtocolErrors != 0 || s.Opened != int64(len(stories)) {
					t.Errorf("%+v", s)
				}
			}
			p.stop()
		})
		if t.Failed() {
			rt.Fatal("see above")
		}
	})
}

// A thousand short streams in a row, four at a time, so that the ids wrap four times; every byte is checked.
func TestThousandStreams(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := newPair(t, ServerOptions{CloseDelay: -1}, DeviceOptions{})
		stories := make([]story, 1000)
		random := rand.New(rand.NewPCG(1, 2))
		for i := range stories {
			stories[i] = story{
				request: []int{1 + random.IntN(2000)}, answer: []int{1 + random.IntN(2000)},
				pause: time.Duration(random.IntN(20)) * time.Millisecond, atEOF: random.IntN(2) == 0,
			}
		}
		var all sync.WaitGroup
		for worker := range 4 {
			all.Go(func() {
				for n := worker; n < len(stories); n += 4 {
					var service sync.WaitGroup
					service.Go(func() { p.serve(stories) })
					p.use(n, stories[n])
					service.Wait()
				}
			})
		}
		all.Wait()
		synctest.Wait()
		if s := p.server.Stats(); s.Open != 0 || s.Opened != 1000 {
			t.Errorf("%+v", s)
		}
		p.stop()
	})
}

// Links are cut at any moment: what has arrived is a beginning of what was sent, and the end is no end in order.
func TestCutAtAnyMoment(t *testing.T) {
	for cut := range 40 {
		bubble(t, func(t *testing.T) {
			p := newPair(t, ServerOptions{CloseDelay: -1}, DeviceOptions{})
			client, service := p.open()
			sent := strings.Repeat("all in order ", 20000)
			go func() { io.WriteString(service, sent); service.CloseWrite() }()
			got := make([]byte, 0, len(sent))
			var err error
			for err == nil {
				if len(got) > cut*6000 {
					p.link.sever()
				}
				var n int
				n, err = client.Read(got[len(got):min(cap(got), len(got)+999)])
				got = got[:len(got)+n]
				if n == 0 && err == nil {
					err = io.ErrShortBuffer
				}
			}
			if string(got) != sent[:len(got)] || err == io.EOF && len(got) < len(sent) {
				t.Errorf("%d bytes of %d, then %v", len(got), len(sent), err)
			}
			client.Close()
			p.stop()
		})
	}
}
