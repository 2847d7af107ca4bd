package e2e

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"jackfield/test/live"
)

// TestFirstToken: the first start leaves a one-time token for the first administrator, which is shown nowhere else, outlives a
// restart, and is good for one login.
func TestFirstToken(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	writeConfig(t, dir, officeConfig)
	start := func() *office {
		s, err := live.Serve(dir, "jackfield.hcl", "echo=127.0.0.1:1")
		if err != nil {
			t.Fatal(err)
		}
		return enter(t, s, dir)
	}
	path := filepath.Join(dir, "data/first-token")
	first := start()
	info, err := os.Stat(path)
	if err != nil || info.Mode() != 0o600 {
		t.Fatalf("%v, %v", info, err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	secret := strings.TrimSpace(string(text))
	if told := live.Select(first.Output(), live.Equal("file", "data/first-token"), live.Equal("user", "admin")); len(told) != 1 {
		t.Errorf("the log tells the path %d times", len(told))
	}
	if strings.Contains(first.Output(), secret) {
		t.Error("the log has the token")
	}
	if err := first.Stop(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}

	second := start()
	if again, err := os.ReadFile(path); err != nil || string(again) != string(text) {
		t.Errorf("after a restart the file has another token (%v)", err)
	}
	somebody := second.caller(t, "h2", "")
	login := `{"token":"` + secret + `"}`
	second.caller(t, "h2", secret).expect(t, http.StatusUnauthorized, http.MethodGet, "/me", "")
	admin := second.caller(t, "h2", somebody.login(t, login))
	if me := admin.expect(t, http.StatusOK, http.MethodGet, "/me", ""); !strings.Contains(me, `"user":"admin"`) || !strings.Contains(me, `"admin":true`) {
		t.Errorf("who logs in with it, is %s", me)
	}
	if _, err := os.Stat(path); !os.IsNotExist(err) {
		t.Errorf("the file is still there (%v)", err)
	}
	somebody.expect(t, http.StatusUnauthorized, http.MethodPost, "/login", login)
	second.expectRecords(t, 1, live.Equal("path", "/api/v1/login"), live.Equal("status", "201"), live.Equal("target", "user admin"))
	second.expectRecords(t, 1, live.Equal("path", "/api/v1/login"), live.Equal("status", "401"))
	if err := second.Stop(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}

	// The administrator has a token now: no other one is made.
	third := start()
	if _, err := os.Stat(path); !os.IsNotExist(err) {
		t.Errorf("the next start made another one (%v)", err)
	}
	third.caller(t, "http/1.1", admin.token).expect(t, http.StatusOK, http.MethodGet, "/users", "")
	if err := third.Stop(syscall.SIGTERM); err != nil {
		t.Error(err)
	}
}
