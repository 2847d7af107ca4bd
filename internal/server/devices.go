package server

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"jackfield/internal/authority"
	"jackfield/internal/config"
	"jackfield/internal/gateway"
	"jackfield/internal/link"
	"jackfield/internal/listen"
	listenmihini "jackfield/internal/listen/mihini"
	"jackfield/wire/mihini"
)

// deviceHandler makes the handler of a listener by which devices come.
func (g *generation) deviceHandler(l *config.Listener, listener *gateway.Listener) listen.Handler {
	var known []listenmihini.Device
	for _, d := range g.config.Devices {
		if !slices.Contains(d.Listeners, l.Name) {
			continue
		}
		known = append(known, listenmihini.Device{
			Name:    d.Name,
			From:    d.From,
			Refuse:  d.Refuse,
			Options: deviceOptions(d, l),
		})
	}
	handler := listenmihini.Handler{Gateway: g.gateway, Listener: listener, Devices: g.devices, Known: known, Log: g.log}
	if l.TLS {
		config, err := g.tls(l, authority.Required, nil)
		if err != nil {
			g.fail(fmt.Errorf("%s: listener %q: %w", l.Where, l.Name, err))
		}
		handler.TLS = config
		if g.state != nil {
			handler.Peer = g.state.deviceOf
		}
	}
	return listenmihini.New(handler)
}

func deviceOptions(d *config.Device, l *config.Listener) mihini.ServerOptions {
	o := mihini.ServerOptions{
		Options: mihini.Options{
			Strict:        d.Strict,
			Linger:        d.Linger,
			StallTimeout:  d.StallTimeout,
			StallBytes:    int(d.StallBytes),
			ProbeInterval: d.Probe,
		},
		CloseDelay:    d.CloseDelay,
		ListenTimeout: l.ListenTimeout,
	}
	if d.CloseDelay == 0 {
		o.CloseDelay = -1 // at once; zero is the default
	}
	return o
}

var (
	errDeviceUnknown  = errors.New("the configuration does not know the device any more")
	errListenerClosed = errors.New("the device may not come by this listener any more")
)

// forbids says why the configuration does not allow a link that is there; nil if it does.
func (g *generation) forbids(a link.Arrival) error {
	i := slices.IndexFunc(g.config.Devices, func(d *config.Device) bool { return d.Name == a.Device })
	if i < 0 {
		return errDeviceUnknown
	}
	d := g.config.Devices[i]
	if !slices.Contains(d.Listeners, a.Listener) {
		return errListenerClosed
	}
	for _, network := range d.From {
		if network.Contains(a.Source.Addr().WithZone("")) {
			return nil
		}
	}
	if d.From != nil {
		return errDeviceUnknown
	}
	return nil
}

// deviceOf returns the name of the device without which a listener's port is closed; empty if there is none.
func deviceOf(c *config.Config, l *config.Listener) string {
	if l.Protocol != "tcp" || l.CloseWhenDown {
		return ""
	}
	for _, s := range c.Services {
		if s.Name == l.Service {
			return s.Device
		}
	}
	return ""
}

func waitsForDevice(c *config.Config, l *config.Listener) bool { return deviceOf(c, l) != "" }

// up returns the servers of the listeners whose ports are to be open now.
func (g *generation) up() []*listen.Server {
	var up []*listen.Server
	for i, l := range g.config.Listeners { // servers are in their order
		if device := deviceOf(g.config, l); device == "" || g.devices.Connected(device) {
			up = append(up, g.servers[i])
		}
	}
	return up
}

// How long a port that cannot be opened is left closed before it is tried again.
const portRetry = 5 * time.Second

// followDevices opens and closes, until ctx ends, the ports that are open only while a device is there.
func (s *Server) followDevices(ctx context.Context) {
	s.devices.Watch(ctx, func() {
		for s.applyDevices() != nil {
			select {
			case <-ctx.Done():
				return
			case <-time.After(portRetry):
			}
		}
	})
}

func (s *Server) applyDevices() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopping {
		return nil
	}
	before := s.listening()
	err := s.sockets.SwapAvailable(s.current.up())
	if err != nil {
		s.log.Warn("the ports of a device cannot be opened, to be tried again", "error", explainBind(err, s.current.config),
			"again_in", portRetry.String())
	}
	after := s.listening()
	for _, l := range s.current.servers {
		switch {
		case before[l.Name] && !after[l.Name]:
			s.log.Info("port closed: its device is away", "listener", l.Name, "address", l.Address)
		case !before[l.Name] && after[l.Name]:
			s.log.Info("port opened: its device is there", "listener", l.Name, "address", l.Address)
		}
	}
	return err
}

// listening returns the listeners whose ports are open. It is called with mu held.
func (s *Server) listening() map[string]bool {
	open := make(map[string]bool)
	for _, l := range s.current.servers {
		open[l.Name] = s.sockets.Addr(l) != nil
	}
	return open
}

// deviceMetrics are the metrics of links.
type deviceMetrics struct{ devices *link.Devices }

var (
	deviceConnected = prometheus.NewDesc("jackfield_device_connected_seconds", "How long the device has been connected.", []string{"device"}, nil)
	deviceStreams   = prometheus.NewDesc("jackfield_device_streams", "Streams of the device's link that hold an id.", []string{"device"}, nil)
	deviceQueued    = prometheus.NewDesc("jackfield_device_queued_bytes", "Bytes from the device that wait for clients.", []string{"device"}, nil)
	deviceEvents    = prometheus.NewDesc("jackfield_device_link_events_total",
		"What happened on the device's present link: opened, busy, stalled, stray, protocol_error or probe.", []string{"device", "event"}, nil)
)

// Describe implements prometheus.Collector.
func (m deviceMetrics) Describe(to chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{deviceConnected, deviceStreams, deviceQueued, deviceEvents} {
		to <- d
	}
}

// Collect implements prometheus.Collector.
func (m deviceMetrics) Collect(to chan<- prometheus.Metric) {
	for _, l := range m.devices.List() {
		gauge := func(d *prometheus.Desc, value float64) {
			to <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, l.Device)
		}
		gauge(deviceConnected, time.Since(l.Since).Seconds())
		gauge(deviceStreams, float64(l.Open))
		gauge(deviceQueued, float64(l.Queued))
		for event, n := range map[string]int64{
			"opened": l.Opened, "busy": l.Busy, "stalled": l.Stalled, "stray": l.Strays, "protocol_error": l.ProtocolErrors, "probe": l.Probes,
		} {
			to <- prometheus.MustNewConstMetric(deviceEvents, prometheus.CounterValue, float64(n), l.Device, event)
		}
	}
}
