package access

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"golang.org/x/time/rate"
)

// A Rate is a number of new sessions in a period, as "50/s". Its zero value is no limit.
type Rate struct {
	Count  int
	Period time.Duration
}

// MaxRate is the largest count of a Rate.
const MaxRate = 1_000_000

// ParseRate reads a count, a slash and a period: s (a second), m (a minute) or h (an hour).
func ParseRate(s string) (Rate, error) {
	digits, unit, _ := strings.Cut(s, "/")
	periods := map[string]time.Duration{"s": time.Second, "m": time.Minute, "h": time.Hour}
	period, known := periods[unit]
	count, err := strconv.Atoi(digits)
	if err != nil || !known {
		return Rate{}, fmt.Errorf(`a rate is a whole number and a period, such as "50/s", "600/m" or "1000/h"`)
	}
	if count < 1 || count > MaxRate {
		return Rate{}, fmt.Errorf("the number in a rate is 1 to %d", MaxRate)
	}
	return Rate{Count: count, Period: period}, nil
}

// bucket returns a token bucket that holds one period's count and is filled again within one period. It is nil for no limit.
func (r Rate) bucket() *rate.Limiter {
	if r == (Rate{}) {
		return nil
	}
	return rate.NewLimiter(rate.Limit(float64(r.Count)/r.Period.Seconds()), max(r.Count, 1))
}

// hasToken says whether one more may come now. Nothing is taken.
func hasToken(bucket *rate.Limiter, now time.Time) bool {
	return bucket == nil || bucket.TokensAt(now) >= 1
}

func takeToken(bucket *rate.Limiter, now time.Time) {
	if bucket != nil {
		bucket.AllowN(now, 1)
	}
}
