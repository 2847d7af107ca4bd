package agentd

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"time"

	"jackfield"
	"jackfield/internal/link/control"
	"jackfield/internal/quiet"
	"jackfield/internal/tlsstream"
	"jackfield/wire/inedo"
)

// Listening is how an inbound agent lets servers come.
type Listening struct {
	Protocol inedo.AgentConfig // its mode, its key or certificate, and the handshake's timeout
	Key      control.Key       // seals the messages

	Allowed       []netip.Prefix // where servers may come from; nil: everywhere
	MaxHandshakes int            // at once (100); more wait in the kernel's queue
}

// Listen serves the servers that connect until ctx ends, as Dial does. It closes the listener.
func (a *Agent) Listen(ctx context.Context, listener net.Listener, o Listening, cutNow <-chan struct{}) error {
	serving, cut := context.WithCancelCause(context.Background())
	defer cut(context.Canceled)
	var connections sync.WaitGroup
	accepting, stop := context.WithCancel(serving)
	defer stop()
	accepted := make(chan struct{})
	go func() {
		defer close(accepted)
		a.accept(accepting, serving, listener, o, &connections)
	}()
	why := a.wait(ctx)
	stop()
	listener.Close()
	<-accepted
	a.settle(cutNow)
	cut(why)
	connections.Wait()
	a.tunnels.wait()
	return why
}

const defaultMaxHandshakes = 100

// linesAtOnce is how many lines of the log whoever connects can make at once; after that it is one in a while.
const linesAtOnce = 100

// acceptPause is the pause after an error of Accept, such as too many open files.
const acceptPause = time.Second

// accept accepts connections until accepting ends, and serves them until serving does.
func (a *Agent) accept(accepting, serving context.Context, listener net.Listener, o Listening, connections *sync.WaitGroup) {
	most := cmp.Or(o.MaxHandshakes, defaultMaxHandshakes)
	room := make(chan struct{}, most)
	sources := &handshakes{most: shareOf(most), by: make(map[netip.Prefix]int)}
	log := quiet.New(a.Log, linesAtOnce)
	for accepting.Err() == nil {
		select {
		case room <- struct{}{}:
		case <-accepting.Done():
			return
		}
		release := sync.OnceFunc(func() { <-room })
		conn, err := listener.Accept()
		switch {
		case err != nil:
			release()
			a.pauseAfter(accepting, err)
		case !o.allows(conn.RemoteAddr()):
			release()
			log.Note(slog.LevelWarn, "address", "a connection was closed: its address is not allowed", "source", conn.RemoteAddr().String())
			conn.Close()
		default:
			leave, entered := sources.enter(conn.RemoteAddr())
			if !entered {
				release()
				log.Note(slog.LevelWarn, "handshakes", "a connection was closed: too many of its address are in handshake",
					"source", conn.RemoteAddr().String())
				conn.Close()
				continue
			}
			release := sync.OnceFunc(func() { leave(); release() })
			connections.Go(func() {
				defer release()
				if err := a.greet(serving, conn.(*net.TCPConn), o, release); err != nil && serving.Err() == nil {
					log.Note(slog.LevelWarn, "ended", "a server's connection has ended", "source", conn.RemoteAddr().String(), "error", err)
				}
			})
		}
	}
}

// handshakes count those that go on, by where they come from: one source has a quarter of the room, so that another one always gets in.
type handshakes struct {
	most int

	mu sync.Mutex
	by map[netip.Prefix]int // guarded by mu
}

func shareOf(room int) int {
	if room < 8 {
		return room
	}
	return room / 4
}

func (h *handshakes) enter(source net.Addr) (leave func(), entered bool) {
	address, _ := netip.ParseAddrPort(source.String())
	from := jackfield.SourceOf(address.Addr())
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.by[from] >= h.most {
		return nil, false
	}
	h.by[from]++
	return func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		if h.by[from]--; h.by[from] == 0 {
			delete(h.by, from)
		}
	}, true
}

// pauseAfter waits a little after an error of Accept, unless that is how it was told to end.
func (a *Agent) pauseAfter(ctx context.Context, err error) {
	if ctx.Err() != nil {
		return
	}
	a.Log.Error("cannot accept connections", "error", err, "again_in", acceptPause.String())
	select {
	case <-ctx.Done():
	case <-time.After(acceptPause):
	}
}

func (o *Listening) allows(source net.Addr) bool {
	if o.Allowed == nil {
		return true
	}
	address, err := netip.ParseAddrPort(source.String())
	if err != nil {
		return false
	}
	for _, network := range o.Allowed {
		if network.Contains(address.Addr().Unmap().WithZone("")) {
			return true
		}
	}
	return false
}

// greet does the handshake, finds out what the connection is for, and serves it. Release is called when that is known.
func (a *Agent) greet(ctx context.Context, socket *net.TCPConn, o Listening, release func()) error {
	socket.SetKeepAliveConfig(keepAlive)
	var below net.Conn = socket
	if o.Protocol.Mode == inedo.ModeSSL {
		below = tlsstream.Below(socket)
	}
	conn, err := inedo.Accept(ctx, below, o.Protocol)
	if err != nil {
		return err
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	messages := control.Agent(conn, &o.Key)
	messages.SetDeadline(time.Now().Add(helloTimeout))
	first, err := messages.Peek()
	if err != nil {
		return err
	}
	switch first := first.(type) {
	case *control.ServerHello:
		return newLink(a, messages, nil).run(ctx, release)
	case *control.Attach:
		link, err := a.attached(messages, first)
		if err != nil {
			return err
		}
		release()
		if o.Protocol.Mode == inedo.ModeAES {
			return errors.New("streams are not carried with AES, which has neither integrity nor protection against replay")
		}
		stop() // a stream that is cut is to end with a reset: data sees to it
		link.data(messages)
		return nil
	}
	return errors.New("it began with neither hello nor attach")
}

// attached finds the link of a data connection, and makes sure that it was not attached before.
func (a *Agent) attached(conn *control.Conn, claim *control.Attach) (*link, error) {
	l := a.current()
	if l == nil || l.id != control.LinkID(claim.Ticket) {
		return nil, errors.New("a data connection of a link that is not there")
	}
	conn.Join(l.conn, claim.Number)
	if _, err := conn.Receive(); err != nil {
		return nil, err
	}
	if !l.used.take(claim.Number) {
		return nil, errors.New("a data connection that was there before")
	}
	return l, conn.SetDeadline(time.Time{})
}

// numbers remembers which numbers were used: all far below the highest one were.
type numbers struct {
	mu      sync.Mutex
	highest int64
	recent  map[int64]struct{} // of the last window
}

const window = 1024

// take says whether a number was not used yet, and uses it.
func (n *numbers) take(number int64) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if _, used := n.recent[number]; used || number <= 0 || number <= n.highest-window {
		return false
	}
	if n.recent == nil {
		n.recent = make(map[int64]struct{})
	}
	n.recent[number] = struct{}{}
	if number > n.highest {
		n.highest = number
		for old := range n.recent {
			if old <= n.highest-window {
				delete(n.recent, old)
			}
		}
	}
	return true
}
