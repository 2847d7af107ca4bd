package live

import (
	"os"
	"testing"
)

// Missing skips a test that lacks something, and says what mends it. Where everything must be there ($CI is "true") the
// test fails.
func Missing(t testing.TB, what, mend string) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatalf("no %s: %s", what, mend)
	}
	t.Skipf("no %s: %s", what, mend)
}
