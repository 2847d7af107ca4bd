package api

import (
	"strings"

	"jackfield"
)

func listDevices(c *call) (any, error) {
	part, next, err := paginate(c, c.server.Devices.Devices(), func(d Device) string { return d.Name })
	return DeviceList{part, next}, err
}

func (c *call) device() (Device, error) {
	name := strings.ToLower(c.r.PathValue("name"))
	for _, d := range c.server.Devices.Devices() {
		if strings.ToLower(d.Name) == name {
			return d, nil
		}
	}
	return Device{}, notFound("there is no such device")
}

func getDevice(c *call) (any, error) { return c.device() }

// cutDevice ends a link. The device may dial in again at once: keeping it out is the configuration's business, or that of
// its certificate.
func cutDevice(c *call) (any, error) {
	d, err := c.device()
	if err != nil {
		return nil, err
	}
	why := disconnectedByAdmin
	reason, err := c.reason()
	if err != nil {
		return nil, err
	}
	if reason != "" {
		why += ": " + reason
	}
	if !c.server.Devices.Cut(d.Name, why) {
		return nil, jackfield.Refuse(jackfield.NotFound, "the device is not connected", nil)
	}
	return nil, nil
}
