package server

import (
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/coreos/go-systemd/v22/activation"
	"github.com/coreos/go-systemd/v22/daemon"

	"jackfield/internal/config"
	"jackfield/internal/listen"
)

// The states that systemd is told (sd_notify). Without systemd they go nowhere.
func notifyReady()    { daemon.SdNotify(false, daemon.SdNotifyReady) }
func notifyStopping() { daemon.SdNotify(false, daemon.SdNotifyStopping) }

// notifyReloading is for Type=notify-reload, which wants the time of the reload's start.
func notifyReloading() {
	daemon.SdNotify(false, fmt.Sprintf("%s\nMONOTONIC_USEC=%d", daemon.SdNotifyReloading, monotonic().Microseconds()))
}

// feedWatchdog tells systemd's watchdog that the server lives, twice in the time that it allows.
func feedWatchdog() (stop func()) {
	interval, err := daemon.SdWatchdogEnabled(false)
	if err != nil || interval == 0 {
		return func() {}
	}
	done := make(chan struct{})
	var feeding sync.WaitGroup
	feeding.Go(func() {
		tick := time.NewTicker(interval / 2)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				daemon.SdNotify(false, daemon.SdNotifyWatchdog)
			case <-done:
				return
			}
		}
	})
	return func() { close(done); feeding.Wait() }
}

// adoptSockets takes the listening sockets that systemd opened for us: each by the name of its listener
// (FileDescriptorName=), else by its address. One that no listener wants is an error, for its clients would wait for ever.
func adoptSockets(sockets *listen.Sockets, c *config.Config) error {
	if err := checkPassed(); err != nil {
		return fmt.Errorf("socket activation: %w", err)
	}
	named, err := activation.ListenersWithNames()
	if err != nil {
		return fmt.Errorf("socket activation: %w", err)
	}
	for name, listeners := range named {
		for _, ln := range listeners {
			l := wanted(c, name, ln)
			tcp, isTCP := ln.(*net.TCPListener)
			if l == nil || !isTCP {
				return fmt.Errorf("socket activation: no listener is named %q or listens on %s", name, ln.Addr())
			}
			sockets.Adopt(&listen.Server{Name: l.Name, Address: l.Listen}, tcp)
		}
	}
	return nil
}

func wanted(c *config.Config, name string, ln net.Listener) *config.Listener {
	for _, l := range c.Listeners {
		if l.Name == name {
			return l
		}
	}
	for _, l := range c.Listeners {
		if l.Listen == ln.Addr().String() {
			return l
		}
	}
	return nil
}
