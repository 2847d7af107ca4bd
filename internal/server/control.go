package server

import (
	"jackfield"
	"jackfield/internal/admin"
	"jackfield/internal/link"
)

// control is what the admin socket can do with a server.
type control struct{ server *Server }

func (c control) List() []admin.Session {
	var list []admin.Session
	for _, live := range c.server.sessions.List() {
		list = append(list, admin.Session{
			ID:               live.ID,
			Listener:         live.Listener,
			Protocol:         live.Protocol,
			Source:           live.Source,
			User:             live.Identity.User,
			Service:          string(live.Service),
			Route:            live.Route,
			Started:          live.Time,
			BytesFromClient:  live.Transfer.FromClient,
			BytesFromService: live.Transfer.FromService,
		})
	}
	return list
}

func (c control) Devices() []admin.Device {
	connected := make(map[string]link.State)
	for _, l := range c.server.devices.List() {
		connected[l.Device] = l
	}
	var list []admin.Device
	for _, d := range c.server.generation().config.Devices {
		device := admin.Device{Name: d.Name}
		if l, there := connected[d.Name]; there {
			device.Connected, device.Since, device.Listener, device.Source = true, &l.Since, l.Listener, &l.Source
			device.Streams, device.Opened, device.ProtocolErrors, device.Stalled = l.Open, l.Opened, l.ProtocolErrors, l.Stalled
		}
		list = append(list, device)
	}
	return list
}

func (c control) Disconnect(id, why string) bool { return c.server.sessions.Disconnect(id, why) }

// Reload answers with all that is wrong with the configuration, for it is the server's own user or root who asks.
func (c control) Reload() (admin.Reloaded, error) {
	reloaded, err := c.server.reload()
	if err != nil {
		return admin.Reloaded{}, jackfield.Refuse(jackfield.Invalid, err.Error(), nil)
	}
	return reloaded, nil
}
