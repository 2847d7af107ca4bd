package server

import (
	"context"
	"errors"

	"jackfield"
	"jackfield/internal/api"
	"jackfield/internal/config"
	"jackfield/internal/link"
)

// control is what the API can do with a server's sessions, devices and configuration.
type control struct{ *Server }

func (c control) List() []api.Session {
	var list []api.Session
	for _, live := range c.sessions.List() {
		list = append(list, api.Session{
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

func (c control) Disconnect(id, why string) bool { return c.sessions.Disconnect(id, why) }

func (c control) Devices() []api.Device {
	connected := make(map[string]link.State)
	for _, l := range c.devices.List() {
		connected[l.Device] = l
	}
	var list []api.Device
	for _, d := range c.generation().config.Devices {
		device := api.Device{Name: d.Name}
		if l, there := connected[d.Name]; there {
			device.Connected, device.Since, device.Listener, device.Source = true, &l.Since, l.Listener, &l.Source
			device.Streams, device.Opened, device.ProtocolErrors, device.Stalled = l.Open, l.Opened, l.ProtocolErrors, l.Stalled
		}
		list = append(list, device)
	}
	return list
}

func (c control) Cut(device, why string) bool { return c.cutDevice(device, errors.New(why)) }

// Check looks at a text as a reload would look at the file, and at what this machine has of what it names.
func (c control) Check(_ context.Context, text []byte) ([]api.ConfigurationProblem, error) {
	next, problems := config.Reload(c.path)
	if len(text) > 0 {
		next, problems = config.LoadText(c.path, text)
	}
	var told []api.ConfigurationProblem
	for _, p := range problems.List() {
		told = append(told, api.ConfigurationProblem{
			Severity: p.Severity, Message: p.Summary + ": " + p.Detail, File: p.File, Line: p.Line,
		})
	}
	if next == nil {
		return told, nil
	}
	for _, failure := range Check(next) {
		told = append(told, api.ConfigurationProblem{Severity: "error", Message: failure.Error()})
	}
	return told, nil
}

// Reload answers with all that is wrong with the configuration.
func (c control) Reload(context.Context) (api.Reloaded, error) {
	reloaded, err := c.reload()
	if err != nil {
		return api.Reloaded{}, jackfield.Refuse(jackfield.Invalid, err.Error(), nil)
	}
	return reloaded, nil
}
