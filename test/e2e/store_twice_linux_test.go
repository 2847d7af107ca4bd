package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestTwoServers: a second server on the same data_dir says who is in its way and ends, and the first one notices nothing. It
// does so too when somebody has removed what the first one is known by.
func TestTwoServers(t *testing.T) {
	t.Parallel()
	s := startSite(t, siteConfig)
	b := s.bystander(t)
	second := func(t *testing.T, says string) {
		t.Helper()
		b.during(t, func() {
			said := run(t, s.dir, 1, "serve", "--config", "jackfield.hcl")
			if !strings.Contains(said, says) || !strings.Contains(said, "stop it") || strings.Contains(said, `"msg":"serving"`) {
				t.Errorf("the second server says: %s", said)
			}
		})
		b.goesOn(t)
	}
	second(t, "another server runs with this data_dir (data)")
	s.token(t, "ada") // by the admin socket, which is still the first one's
	for _, names := range [][]string{{"admin.sock"}, {"admin.sock", "admin.sock.lock"}} {
		t.Run("without "+strings.Join(names, " and "), func(t *testing.T) {
			for _, name := range names {
				if err := os.Remove(filepath.Join(s.dir, "data", name)); err != nil && !os.IsNotExist(err) {
					t.Fatal(err)
				}
			}
			second(t, map[int]string{1: "data", 2: "uses the directory"}[len(names)])
		})
	}
	if tokens, err := b.kept.Tokens(t.Context(), ""); err != nil || len(tokens) != 1 {
		t.Errorf("the first server knows %d tokens of the bystander (%v)", len(tokens), err)
	}
}
