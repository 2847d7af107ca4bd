package control

import (
	"math/rand/v2"
	"time"
)

// Pauses before who dials a link dials again: between firstPause and earlyPause in the first earlyTime without a link, then up to
// latePause, at random, so that many who lost their links together do not come back together.
const (
	firstPause = time.Second
	earlyPause = 10 * time.Second
	latePause  = time.Minute
	earlyTime  = 5 * time.Minute
)

// Pause returns how long to wait before dialling again, after so long a time without a link.
func Pause(without time.Duration) time.Duration {
	longest := earlyPause
	if without >= earlyTime {
		longest = latePause
	}
	return firstPause + rand.N(longest-firstPause)
}
