package server

import (
	"context"
	"strings"

	"jackfield/internal/api"
	"jackfield/internal/link"
)

// tellDevices tells, until ctx ends, which devices come and go, and which services with them.
func (s *Server) tellDevices(ctx context.Context) {
	before := make(map[string]string) // the ids of the links, by device
	s.devices.Watch(ctx, func() {
		now := make(map[string]string)
		for _, l := range s.devices.List() {
			now[l.Device] = l.ID
		}
		for device := range before {
			if now[device] == "" {
				s.tellDevice(device, api.DeviceGone, api.Away)
			}
		}
		for device, id := range now {
			if before[device] != id {
				s.tellDevice(device, api.DeviceConnected, api.Available)
			}
		}
		before = now
	})
}

func (s *Server) tellDevice(device string, what api.EventType, services api.State) {
	s.hub.Publish(api.Event{Type: what, Subject: device})
	for _, service := range s.generation().config.Services {
		if service.Device == device {
			s.hub.Publish(api.Event{
				Type: api.ServiceChanged, Subject: string(service.Name), Service: service.Name, Detail: string(services),
			})
		}
	}
}

// cutDevice ends the link of a device, if it has one.
func (s *Server) cutDevice(device string, why error) (cut bool) {
	s.devices.Cut(func(a link.Arrival) error {
		if !strings.EqualFold(a.Device, device) {
			return nil
		}
		cut = true
		return why
	})
	return cut
}
