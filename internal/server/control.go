package server

import (
	"jackfield"
	"jackfield/internal/admin"
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

func (c control) Disconnect(id, why string) bool { return c.server.sessions.Disconnect(id, why) }

// Reload answers with all that is wrong with the configuration, for it is the server's own user or root who asks.
func (c control) Reload() (admin.Reloaded, error) {
	reloaded, err := c.server.reload()
	if err != nil {
		return admin.Reloaded{}, jackfield.Refuse(jackfield.Invalid, err.Error(), nil)
	}
	return reloaded, nil
}
