package audit

import "jackfield"

// Multi returns a recorder that passes everything on to each of the recorders, in order.
//
// Opened stops at the first error. The recorders that had already agreed are then told that the session closed at once,
// without a byte, so that for each of them every Opened that succeeded has its Closed; the refusal that follows goes to
// all. Put the recorder that can fail first (the audit log), and those behind it never hear of a session that did not
// come to be: audit and metrics agree.
func Multi(recorders ...jackfield.Recorder) jackfield.Recorder { return multi(recorders) }

type multi []jackfield.Recorder

func (m multi) Opened(r *jackfield.Record) error {
	for i, recorder := range m {
		if err := recorder.Opened(r); err != nil {
			m[:i].abandon(r, err)
			return err
		}
	}
	return nil
}

func (m multi) abandon(r *jackfield.Record, err error) {
	closed := *r
	closed.End = jackfield.End{Cause: "not recorded", Details: err.Error()}
	m.Closed(&closed)
}

func (m multi) Closed(r *jackfield.Record) {
	for _, recorder := range m {
		recorder.Closed(r)
	}
}

func (m multi) Refused(r *jackfield.Record) {
	for _, recorder := range m {
		recorder.Refused(r)
	}
}
