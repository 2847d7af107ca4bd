package agentd

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"sync"
	"time"

	"jackfield/internal/device"
	"jackfield/internal/link/control"
)

// MaxTunnels is how many Mihini tunnels an agent has at a time.
const MaxTunnels = 8

// tunnelPatience is how long the first link of a tunnel may take to come up, before the server is told that it has not.
const tunnelPatience = 10 * time.Second

// tunnels are the Mihini tunnels that servers have asked for. A tunnel ends with the link by which it was asked for, and when the
// allow-list does not have its local end any more.
type tunnels struct {
	mu   sync.Mutex
	open map[string]*tunnelling // by what it joins
	all  sync.WaitGroup
}

// A tunnelling is a tunnel and whether it has come up once.
type tunnelling struct {
	local string
	end   context.CancelCauseFunc
	up    chan struct{} // closed then
	once  sync.Once
}

var errNotAllowedNow = errors.New("the allow-list does not have it any more")

// keep ends the tunnels to what is not allowed.
func (t *tunnels) keep(allow func(address string) error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, open := range t.open {
		if allow == nil || allow(open.local) != nil {
			open.end(errNotAllowedNow)
		}
	}
}

func (t *tunnels) count() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.open)
}

func (t *tunnels) wait() { t.all.Wait() }

// tunnel opens a Mihini tunnel and answers when its link is up, or is not.
func (l *link) tunnel(m *control.Tunnel) {
	server, local, err := l.tunnelEnds(m)
	if err != nil {
		l.agent.Log.Warn("tunnel refused", "server", server, "local", local, "error", err)
		l.send(&control.TunnelResult{Number: m.Number, Problem: err.Error()})
		return
	}
	l.tasks.Go(func() {
		result := &control.TunnelResult{Number: m.Number}
		if err := l.agent.openTunnel(l.ctx, server, local); err != nil {
			result.Problem = err.Error()
		}
		l.send(result)
	})
}

// tunnelEnds completes what was asked for from the agent's configuration, and checks it: the local end against the allow-list, and
// the server, which has to be the configured one, on the host of the agent's own server, or in the allow-list.
func (l *link) tunnelEnds(m *control.Tunnel) (server, local string, err error) {
	offer := l.agent.offer.Load()
	if server, err = merge(m.ServerAddress, m.ServerPort, offer.Tunnel.Server, ""); err != nil {
		return "", "", fmt.Errorf("the Mihini server: %w", err)
	}
	if local, err = merge(m.LocalAddress, m.LocalPort, offer.Tunnel.Local, "127.0.0.1"); err != nil {
		return server, "", fmt.Errorf("the local service: %w", err)
	}
	if offer.Allow == nil {
		return server, local, fmt.Errorf("the local service %s: %w", local, device.ErrNotOffered)
	}
	if err := offer.Allow(local); err != nil {
		return server, local, fmt.Errorf("the local service %s: %w", local, err)
	}
	if server != offer.Tunnel.Server && !l.isServers(server) && offer.Allow(server) != nil {
		return server, local, fmt.Errorf("the Mihini server %s is neither the one of the agent's configuration, nor on its own server's host, nor in the allow-list", server)
	}
	return server, local, nil
}

// isServers says whether an address is on the host of the server that the link leads to.
func (l *link) isServers(address string) bool {
	host, _, _ := net.SplitHostPort(address)
	for _, own := range []string{l.conn.RemoteAddr().String(), l.dialled} {
		if ownHost, _, err := net.SplitHostPort(own); err == nil && host == ownHost {
			return true
		}
	}
	return false
}

// merge completes an address and a port from "host:port", and one without a host by another.
func merge(address string, port int32, configured, fallback string) (string, error) {
	host, number, _ := net.SplitHostPort(configured)
	host = cmp.Or(address, host, fallback)
	if port != 0 {
		number = strconv.Itoa(int(port))
	}
	if n, err := strconv.ParseUint(number, 10, 16); host == "" || err != nil || n == 0 {
		return "", errors.New("neither the command nor the agent's configuration has a good address and port")
	}
	return net.JoinHostPort(host, number), nil
}

// openTunnel starts a tunnel that lasts as long as ctx, and waits until it is up. One that does not come up in time is given up.
func (a *Agent) openTunnel(ctx context.Context, server, local string) error {
	t, err := a.startTunnel(ctx, server, local)
	if err != nil {
		return err
	}
	select {
	case <-t.up:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(tunnelPatience):
		err := fmt.Errorf("the Mihini server %s cannot be reached", server)
		t.end(err)
		return err
	}
}

// startTunnel starts a tunnel, unless there is one between the same ends.
func (a *Agent) startTunnel(ctx context.Context, server, local string) (*tunnelling, error) {
	allow, err := device.ParseAllowList([]string{local})
	if err != nil {
		return nil, err
	}
	a.tunnels.mu.Lock()
	defer a.tunnels.mu.Unlock()
	key := server + " " + local
	if t := a.tunnels.open[key]; t != nil {
		return t, nil
	}
	if len(a.tunnels.open) >= MaxTunnels {
		return nil, fmt.Errorf("the agent has %d tunnels, which is all that it may have", MaxTunnels)
	}
	if a.tunnels.open == nil {
		a.tunnels.open = make(map[string]*tunnelling)
	}
	ctx, end := context.WithCancelCause(ctx)
	t := &tunnelling{local: local, end: end, up: make(chan struct{})}
	a.tunnels.open[key] = t
	a.tunnels.all.Go(func() {
		defer a.tunnels.forget(key)
		err := device.Run(ctx, device.Options{
			Server: server, Allow: allow, Log: a.Log.With("tunnel", key),
			Linked: func() { t.once.Do(func() { close(t.up) }) },
		})
		a.Log.Info("tunnel closed", "tunnel", key, "why", err)
	})
	return t, nil
}

func (t *tunnels) forget(key string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.open, key)
}
