package gateway

import (
	"time"

	"jackfield"
)

// OpenLink takes a visitor who serves instead of asking, such as a device, past the rest of the outer checks, mappers included, and records
// its link as open. What names the link, such as "link meter-7". The caller calls closed when the link has ended. A refusal has been
// logged and recorded.
func (v *Visit) OpenLink(what string) (closed func(jackfield.End, jackfield.Transfer), err error) {
	v.record.Route = what
	if err := v.checkOuterACLs(); err != nil {
		return nil, v.Refuse(err)
	}
	for _, level := range v.outerLevels() {
		if err := v.ask(v.ctx, level.Mapper); err != nil {
			return nil, v.Refuse(err)
		}
	}
	if err := v.gateway.Recorder.Opened(&v.record); err != nil {
		return nil, v.Refuse(err)
	}
	return func(end jackfield.End, transfer jackfield.Transfer) {
		v.record.Duration = time.Since(v.record.Time)
		v.record.End, v.record.Transfer = end, transfer
		v.gateway.Recorder.Closed(&v.record)
	}, nil
}
