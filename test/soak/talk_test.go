package soak

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"time"

	"jackfield/wire/mihini"
)

// A talk is what a client and a service say to each other. The client sends it first, so that the service knows it.
type talk struct {
	Seed     uint64
	Up, Down uint32 // bytes that the client and the service send
	Plot     plot
}

// A plot is how a talk goes on.
type plot uint32

const (
	whole         plot = iota // both send all, and end their sides
	serviceFirst              // the service closes when it has sent all, and reads nothing
	clientLeaves              // the client closes in the middle
	serviceLeaves             // the service closes in the middle
	pauses                    // the client stops reading for a while, which is not long enough to be closed
	deaf                      // the client reads nothing until its stream is closed
	plots
)

const talkSize = 8 + 4 + 4 + 4

// newTalk makes one up, by any plot but that of the deaf, which holds up the whole link.
func newTalk(random *rand.Rand) talk {
	return talk{Seed: random.Uint64(), Up: size(random), Down: size(random), Plot: plot(random.Uint32N(uint32(deaf)))}
}

// deafTalk has more to say than the queues and the sockets' buffers hold.
func deafTalk(random *rand.Rand) talk { return talk{Seed: random.Uint64(), Down: 64 << 20, Plot: deaf} }

// size is small most often, and large now and then.
func size(random *rand.Rand) uint32 { return random.Uint32N(1 << random.Uint32N(19)) }

func (t talk) bytes() []byte {
	b := binary.BigEndian.AppendUint64(nil, t.Seed)
	b = binary.BigEndian.AppendUint32(b, t.Up)
	b = binary.BigEndian.AppendUint32(b, t.Down)
	return binary.BigEndian.AppendUint32(b, uint32(t.Plot))
}

func parseTalk(b []byte) talk {
	return talk{
		Seed: binary.BigEndian.Uint64(b),
		Up:   binary.BigEndian.Uint32(b[8:]),
		Down: binary.BigEndian.Uint32(b[12:]),
		Plot: plot(binary.BigEndian.Uint32(b[16:])),
	}
}

// Who says something: the seed of both directions is the talk's.
const (
	byClient  = 1
	byService = 2
)

// text is what one of them says.
func (t talk) text(by uint64, size uint32) io.Reader {
	var key [32]byte
	binary.BigEndian.PutUint64(key[:], t.Seed)
	binary.BigEndian.PutUint64(key[8:], by)
	return io.LimitReader(rand.NewChaCha8(key), int64(size))
}

var errOther = errors.New("other bytes came")

// compare reads until the end or an error and wants the beginning of what was said. It returns how much of it came.
func compare(r io.Reader, want io.Reader) (n int64, err error) {
	got, expected := make([]byte, 8<<10), make([]byte, 8<<10)
	for {
		m, err := r.Read(got)
		if _, short := io.ReadFull(want, expected[:m]); short != nil || string(got[:m]) != string(expected[:m]) {
			return n, fmt.Errorf("%w after %d", errOther, n)
		}
		n += int64(m)
		if err != nil {
			return n, err
		}
	}
}

// A ledger is what became of talks.
type ledger struct {
	mu       sync.Mutex         // guards what follows
	talks    [plots]int         // that were had to their end
	lost     int                // that went with their link
	busy     int                // that found no id, or no link
	heard    map[uint64]hearing // by the services, of talks that are not settled yet
	failures []error
}

// A hearing is what a service heard of a talk.
type hearing struct {
	bytes int64
	err   error // io.EOF: the client ended
}

func (l *ledger) fail(format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.failures) < 20 {
		l.failures = append(l.failures, fmt.Errorf(format, args...))
	}
}

func (l *ledger) count(what *int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	*what++
}

// serve is the service: it has one talk. The end of what it says is the end of the stream, so it hears the client out before.
func (l *ledger) serve(conn net.Conn) {
	defer conn.Close()
	header := make([]byte, talkSize)
	if _, err := io.ReadFull(conn, header); err != nil {
		return // the link was cut, or the client is gone
	}
	t := parseTalk(header)
	var answering sync.WaitGroup
	defer answering.Wait()
	switch t.Plot {
	case serviceFirst:
		answering.Go(func() { t.answer(conn, t.Down) })
		return
	case serviceLeaves:
		answering.Go(func() { t.answer(conn, t.Down/2) })
		return
	}
	answering.Go(func() { t.answer(conn, t.Down) })
	n, err := compare(conn, t.text(byClient, t.Up))
	if errors.Is(err, errOther) {
		l.fail("service, %+v: %w", t, err)
	}
	if t.complete() {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.heard[t.Seed] = hearing{n, err}
	}
}

// answer says the service's part.
func (t talk) answer(conn net.Conn, size uint32) { io.Copy(conn, t.text(byService, size)) }

// complete says that both sides must hear all.
func (t talk) complete() bool { return t.Plot == whole || t.Plot == pauses }

// ask is the client's part of a talk. It returns an error if something came that must not have, or did not come.
func (l *ledger) ask(ctx context.Context, stream *mihini.Stream, t talk) error {
	defer stream.Close()
	if _, err := stream.Write(t.bytes()); err != nil {
		return l.judge(t, 0, err)
	}
	var asking sync.WaitGroup
	defer asking.Wait()
	asking.Go(func() { t.say(stream) })
	var from io.Reader = stream
	switch t.Plot {
	case clientLeaves:
		from = io.LimitReader(stream, int64(t.Down)/2)
	case pauses:
		from = &pausing{Reader: stream, ctx: ctx, every: 64 << 10}
	case deaf:
		awaitStall(ctx, stream)
	}
	n, err := compare(from, t.text(byService, t.Down))
	if t.Plot == clientLeaves {
		stream.Close() // before what we still have to say
	}
	return l.judge(t, n, err)
}

// say says the client's part. One that reads nothing does not end its side, so that Write tells when the stream has broken.
func (t talk) say(stream *mihini.Stream) {
	if _, err := io.Copy(onlyWriter{stream}, t.text(byClient, t.Up)); err == nil && t.Plot != deaf {
		stream.CloseWrite()
	}
}

// An onlyWriter has no ReadFrom.
type onlyWriter struct{ io.Writer }

// awaitStall waits until the stream is closed because nobody reads, or its link is gone.
func awaitStall(ctx context.Context, stream *mihini.Stream) {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for ctx.Err() == nil {
		if _, err := stream.Write(nil); err != nil {
			return
		}
		<-tick.C
	}
}

// judge decides whether what the client heard is in order: n bytes, and why there are no more.
func (l *ledger) judge(t talk, n int64, err error) error {
	if errors.Is(err, mihini.ErrLinkLost) {
		l.count(&l.lost)
		return nil
	}
	if !t.inOrder(n, err) {
		return fmt.Errorf("client, %+v: %d bytes came, then %w", t, n, err)
	}
	if t.complete() && !l.settle(t) {
		return fmt.Errorf("client, %+v: the service did not hear all", t)
	}
	l.count(&l.talks[t.Plot])
	return nil
}

func (t talk) inOrder(n int64, err error) bool {
	want := int64(t.Down)
	switch t.Plot {
	case clientLeaves:
		want /= 2
	case serviceFirst, serviceLeaves:
		// The service has closed with something unread: its reset can take the end of the answer along.
		return n <= want && (err == io.EOF || n == 0 && errors.Is(err, mihini.ErrRefused))
	case deaf:
		return n == 0 && errors.Is(err, mihini.ErrStalled)
	}
	return n == want && err == io.EOF || n == 0 && want == 0 && errors.Is(err, mihini.ErrRefused)
}

// settle wants the service to have heard all that the client said.
func (l *ledger) settle(t talk) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	h, ok := l.heard[t.Seed]
	delete(l.heard, t.Seed)
	return ok && h.bytes == int64(t.Up) && h.err == io.EOF
}

// pausing pauses now and then.
type pausing struct {
	io.Reader
	ctx   context.Context
	every int64
	left  int64
}

func (p *pausing) Read(b []byte) (int, error) {
	if p.left <= 0 {
		p.left = p.every
		select {
		case <-p.ctx.Done():
		case <-time.After(rand.N(stallTimeout / 4)):
		}
	}
	n, err := p.Reader.Read(b)
	p.left -= int64(n)
	return n, err
}
