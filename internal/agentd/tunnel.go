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

// tunnels are the Mihini tunnels that servers have asked for. They last until the agent ends.
type tunnels struct {
	mu   sync.Mutex
	open map[string]*tunnelling // by what it joins
	all  sync.WaitGroup
}

// A tunnelling is a tunnel and whether it has come up once.
type tunnelling struct {
	up   chan struct{} // closed then
	once sync.Once
}

func (t *tunnels) count() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.open)
}

func (t *tunnels) wait() { t.all.Wait() }

// tunnel opens a Mihini tunnel and answers when its link is up, or is not.
func (l *link) tunnel(m *control.Tunnel) {
	server, local, err := l.agent.tunnelEnds(m)
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

// tunnelEnds completes what was asked for from the agent's configuration, and checks it against the allow-list.
func (a *Agent) tunnelEnds(m *control.Tunnel) (server, local string, err error) {
	offer := a.offer.Load()
	if server, err = merge(m.ServerAddress, m.ServerPort, offer.Tunnel.Server, ""); err != nil {
		return "", "", fmt.Errorf("the Mihini server: %w", err)
	}
	if local, err = merge(m.LocalAddress, m.LocalPort, offer.Tunnel.Local, "127.0.0.1"); err != nil {
		return server, "", fmt.Errorf("the local service: %w", err)
	}
	if offer.Allow == nil {
		return server, local, device.ErrNotOffered
	}
	return server, local, offer.Allow(local)
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

func (a *Agent) openTunnel(ctx context.Context, server, local string) error {
	t, err := a.startTunnel(server, local)
	if err != nil {
		return err
	}
	select {
	case <-t.up:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(tunnelPatience):
		return errors.New("the Mihini server cannot be reached yet; the agent goes on trying")
	}
}

// startTunnel starts a tunnel, unless there is one between the same ends.
func (a *Agent) startTunnel(server, local string) (*tunnelling, error) {
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
	t := &tunnelling{up: make(chan struct{})}
	a.tunnels.open[key] = t
	a.tunnels.all.Go(func() {
		device.Run(a.life, device.Options{
			Server: server, Allow: allow, Log: a.Log.With("tunnel", key),
			Linked: func() { t.once.Do(func() { close(t.up) }) },
		})
	})
	return t, nil
}
