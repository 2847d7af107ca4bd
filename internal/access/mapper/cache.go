package mapper

import (
	"strings"
	"sync"
	"time"

	"jackfield/wire/mapper"
)

// maxCached is how many answers are kept at most.
const maxCached = 10_000

// A cache keeps answers for a time. It has two halves: when the younger one is full or older than an answer's life, it
// becomes the older one, and what was there is forgotten.
type cache struct {
	life time.Duration

	mu    sync.Mutex
	young map[string]keptAnswer // guarded by mu, as is all below
	old   map[string]keptAnswer
	begun time.Time // young
}

type keptAnswer struct {
	mapper.Answer
	until time.Time
}

func newCache(life time.Duration) *cache {
	return &cache{life: life, young: make(map[string]keptAnswer)}
}

// cacheKey holds every entry: no entry has a line end.
func cacheKey(entries mapper.Entries) string {
	var key strings.Builder
	for _, e := range entries {
		key.WriteString(e.Key + "=" + e.Value + "\n")
	}
	return key.String()
}

func (c *cache) get(key string, now time.Time) (mapper.Answer, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	found, ok := c.young[key]
	if !ok {
		found, ok = c.old[key]
	}
	if !ok || !now.Before(found.until) {
		return mapper.Answer{}, false
	}
	return found.Answer, true
}

func (c *cache) put(key string, answer mapper.Answer, now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.young) >= maxCached/2 || now.Sub(c.begun) >= c.life {
		c.old, c.young, c.begun = c.young, make(map[string]keptAnswer), now
	}
	c.young[key] = keptAnswer{answer, now.Add(c.life)}
}
