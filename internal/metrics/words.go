package metrics

import "jackfield"

// cut is the end of a session that somebody or something ended: an admin, a reload, a lease, shutdown.
const cut = "cut"

// endWords are all values of the label "end".
var endWords = [...]string{"finished", "client_reset", "service_reset", "idle", "lifetime", cut}

func endWord(cause string) string {
	switch cause {
	case jackfield.EndFinished:
		return "finished"
	case jackfield.EndClientReset:
		return "client_reset"
	case jackfield.EndServiceReset:
		return "service_reset"
	case jackfield.EndIdle:
		return "idle"
	case jackfield.EndLifetime:
		return "lifetime"
	}
	return cut
}

// kindWord is the value of the label "kind". What is no kind counts as our own fault.
func kindWord(kind jackfield.Kind) string {
	switch kind {
	case jackfield.Unauthenticated, jackfield.Denied, jackfield.NotFound, jackfield.Busy, jackfield.Limited,
		jackfield.Unavailable, jackfield.Invalid:
		return string(kind)
	}
	return string(jackfield.Internal)
}
