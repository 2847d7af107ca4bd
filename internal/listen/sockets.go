package listen

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
)

// Sockets is the table of the listening sockets, by what was asked for in the configuration.
type Sockets struct {
	ctx    context.Context
	config net.ListenConfig
	rooms  *rooms

	mu       sync.Mutex // guards what follows
	open     map[string]*socket
	waiting  map[string]*socket // bound, and not accepting yet
	closed   bool
	handlers sync.WaitGroup
}

// NewSockets returns an empty table. Clients are served until ctx ends.
func NewSockets(ctx context.Context) *Sockets {
	return &Sockets{
		ctx:     ctx,
		config:  listenConfig(),
		rooms:   newRooms(),
		open:    make(map[string]*socket),
		waiting: make(map[string]*socket),
	}
}

// Bind opens the server's socket ahead of the Swap that will use it, unless it was adopted: while the process may still
// open any port. Only the server's name and address matter here.
func (t *Sockets) Bind(server *Server) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.waiting[server.key()] != nil {
		return nil
	}
	s, err := t.listen(server)
	if err != nil {
		return err
	}
	t.waiting[server.key()] = s
	return nil
}

// Adopt takes a socket that somebody else opened for the server, ahead of the Swap that will use it.
func (t *Sockets) Adopt(server *Server, ln *net.TCPListener) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.waiting[server.key()] = &socket{listener: ln}
}

func (t *Sockets) listen(server *Server) (*socket, error) {
	ln, err := t.config.Listen(t.ctx, "tcp", server.Address)
	if err != nil {
		return nil, fmt.Errorf("listener %q: %w", server.Name, err)
	}
	return &socket{listener: ln.(*net.TCPListener)}, nil
}

// Swap gives every socket to its server of a new generation. Sockets that are new are opened first; if one cannot be, all
// stays as it was. Those that no server wants any more are closed, without a word to the sessions that came by them. A
// client accepted before the swap belongs to the old generation, one accepted after it to the new one.
func (t *Sockets) Swap(servers []*Server) error { return t.swap(servers, true) }

// SwapAvailable is Swap, but that sockets which cannot be opened are left out. The error names them.
func (t *Sockets) SwapAvailable(servers []*Server) error { return t.swap(servers, false) }

func (t *Sockets) swap(servers []*Server, all bool) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return net.ErrClosed
	}
	next, opened, missing := t.bind(servers)
	if missing != nil && all {
		for _, s := range opened {
			s.listener.Close()
		}
		return missing
	}
	for _, server := range servers {
		if s := next[server.key()]; s != nil {
			s.server.Store(server)
		}
	}
	for key, s := range next {
		delete(t.waiting, key)
		if t.open[key] == nil {
			t.handlers.Go(func() { s.accept(t.ctx, &t.handlers, t.rooms) })
		}
	}
	for key, s := range t.open {
		if next[key] == nil {
			s.listener.Close()
		}
	}
	t.open = next
	return missing
}

// bind finds or opens a socket for each server. The error names those that cannot be opened.
func (t *Sockets) bind(servers []*Server) (next map[string]*socket, opened []*socket, missing error) {
	next = make(map[string]*socket, len(servers))
	var failures []error
	for _, server := range servers {
		s := cmp.Or(t.open[server.key()], t.waiting[server.key()])
		if s == nil {
			var err error
			if s, err = t.listen(server); err != nil {
				failures = append(failures, err)
				continue
			}
			opened = append(opened, s)
		}
		next[server.key()] = s
	}
	return next, opened, errors.Join(failures...)
}

// key tells sockets apart: by address, and where the system chooses the port, by the listener's name too.
func (s *Server) key() string {
	if _, port, err := net.SplitHostPort(s.Address); err == nil && port == "0" {
		return s.Address + " " + s.Name
	}
	return s.Address
}

// Addr is the address that the server's socket listens on; nil if it has none.
func (t *Sockets) Addr(server *Server) net.Addr {
	t.mu.Lock()
	defer t.mu.Unlock()
	if s := t.open[server.key()]; s != nil {
		return s.listener.Addr()
	}
	return nil
}

// StopAccepting closes all sockets. Clients that were accepted go on.
func (t *Sockets) StopAccepting() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.closed = true
	for _, sockets := range []map[string]*socket{t.open, t.waiting} {
		for _, s := range sockets {
			s.listener.Close()
		}
	}
}

// Wait returns when all clients have been served. StopAccepting comes before it.
func (t *Sockets) Wait() { t.handlers.Wait() }
