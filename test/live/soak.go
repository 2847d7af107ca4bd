package live

import (
	"os"
	"time"
)

// Times is how often a test repeats what must never fail: few, or where $JACKFIELD_SOAK is set, as "make soak" does, many.
func Times(few, many int) int {
	if soaks() {
		return many
	}
	return few
}

// Lateness is how late something may be that has to be done soon, because other processes have their turn first: where tests run
// many at a time on a small machine, one may wait for some seconds. Where $JACKFIELD_SOAK is set, nothing may.
func Lateness() time.Duration { return time.Duration(Times(10, 0)) * time.Second }

func soaks() bool { return os.Getenv("JACKFIELD_SOAK") != "" }
