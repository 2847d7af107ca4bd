package live

import "os"

// Times is how often a test repeats what must never fail: few, or where $JACKFIELD_SOAK is set, as "make soak" does, many.
func Times(few, many int) int {
	if os.Getenv("JACKFIELD_SOAK") != "" {
		return many
	}
	return few
}
