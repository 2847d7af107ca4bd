package store_test

import (
	"errors"
	"testing"
	"time"

	"jackfield/internal/store"
)

func FuzzCheckKey(f *testing.F) {
	for _, key := range []string{"user.ada", "user", "a..b", "a.b.", ".a", "a.*", "Ä.b"} {
		f.Add(key)
	}
	f.Fuzz(func(t *testing.T, key string) {
		err := store.CheckKey(key)
		if err == nil && (len(key) > store.MaxKey || len(key) < 3 || store.CheckPrefix(key+".") != nil && len(key) < store.MaxKey) {
			t.Errorf("%q is a key", key)
		}
		if err != nil && !errors.Is(err, store.ErrInvalid) {
			t.Errorf("%q: %v", key, err)
		}
	})
}

func TestCheckTTL(t *testing.T) {
	for ttl, fine := range map[time.Duration]bool{
		time.Second: true, store.MaxTTL: true, 0: false, time.Second / 2: false, 3 * time.Second / 2: false, 2 * store.MaxTTL: false,
	} {
		if err := store.CheckTTL(ttl); (err == nil) != fine {
			t.Errorf("%s: %v", ttl, err)
		}
	}
}
