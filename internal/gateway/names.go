package gateway

import (
	"slices"

	"jackfield"
)

// Visible returns the names of the listener's services that this visitor may use, sorted: those that steps 3 and 5 would
// let it open now. It takes no place and asks no mapper.
func (v *Visit) Visible() []jackfield.Name {
	return v.names(func(asked *jackfield.Request, s *Service) bool {
		return v.allowedOutside(asked) && v.allowedBy(asked, s.Levels)
	})
}

// Published returns the names of all the listener's services that the global and the listener's ACL leave, sorted, whether
// the services themselves would let this visitor in or not.
func (v *Visit) Published() []jackfield.Name {
	return v.names(func(asked *jackfield.Request, _ *Service) bool { return v.allowedOutside(asked) })
}

func (v *Visit) names(keep func(*jackfield.Request, *Service) bool) []jackfield.Name {
	asked := v.record.Request
	var names []jackfield.Name
	for name, service := range v.listener.Published() {
		asked.Service = name
		if keep(&asked, service) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

func (v *Visit) allowedOutside(asked *jackfield.Request) bool {
	for i, level := range v.outerLevels() {
		if !v.decided[i] && !allows(v, level.ACL, asked) {
			return false
		}
	}
	return true
}

func (v *Visit) allowedBy(asked *jackfield.Request, levels []Level) bool {
	for _, level := range levels {
		if !allows(v, level.ACL, asked) {
			return false
		}
	}
	return true
}

func allows(v *Visit, p jackfield.Policy, asked *jackfield.Request) bool {
	return p == nil || p.Decide(v.ctx, asked).Allow
}
