package e2e

import (
	"fmt"
	"net/http"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"jackfield/internal/identity"
	"jackfield/test/live"
)

// peopleConfig has users and groups of its own, and rules that go by them. Its verb is the hash of eve's password.
const peopleConfig = `
data_dir = "data"
listener "web" {
  protocol            = "https"
  listen              = "127.0.0.1:0"
  client_certificates = "optional"
  rule "deny" {
    users = ["mallory"]
  }
  rule "allow" {
    groups = ["lab"]
  }
}
listener "open" {
  protocol = "http"
  listen   = "127.0.0.1:0"
}
service "scope" {
  listeners = ["web"]
  address   = env("echo")
  rule "allow" {
    groups = ["engineers"]
  }
}
user "eve" {
  groups        = ["lab"]
  admin         = true
  password_hash = %q
}
user "mallory" {
  groups = ["lab"]
}
group "engineers" {
  members = ["eve", "ada"]
}
`

// TestPeopleOfTheFile: users and groups of the configuration log in, are ruled by it, and change with it.
func TestPeopleOfTheFile(t *testing.T) {
	t.Parallel()
	const password = "correct horse"
	hash, err := identity.NewPasswordHash(password)
	if err != nil {
		t.Fatal(err)
	}
	config := fmt.Sprintf(peopleConfig, hash.PHC())
	o := newOffice(t, config)
	if users := o.cli(t, "", "user", "ls"); !regexp.MustCompile(`\neve +yes +enabled +yes +file +engineers, lab\n`).MatchString(users) {
		t.Errorf("the users are\n%s", users)
	}
	somebody := o.caller(t, "h2", "")
	somebody.expect(t, http.StatusUnauthorized, http.MethodPost, "/login", `{"user":"eve","password":"wrong horse"}`)
	eve := o.caller(t, "h2", somebody.login(t, `{"user":"Eve","password":"correct horse","scopes":["admin","read","write"]}`))
	if me := eve.expect(t, http.StatusOK, http.MethodGet, "/me", ""); !strings.Contains(me, `"groups":["engineers","lab"],"admin":true`) {
		t.Errorf("eve is %s", me)
	}
	eve.expect(t, http.StatusOK, http.MethodGet, "/users", "")

	// The listener's rules hold for every call, whatever proves who calls. Where there are none, everybody may.
	mallory, ada := o.token(t, "mallory"), o.token(t, "ada")
	pair, _ := o.certificate(t, "user", "mallory", "mallory")
	for _, refused := range []*caller{o.caller(t, "h2", mallory), o.caller(t, "http/1.1", ada), o.caller(t, "h2", "", pair)} {
		if answer := refused.expect(t, http.StatusForbidden, http.MethodGet, "/me", ""); !strings.Contains(answer, `"kind":"denied"`) {
			t.Errorf("the refusal is %s", answer)
		}
	}
	o.expectRecords(t, 2, live.Equal("path", "/api/v1/me"), live.Equal("user", "mallory"), live.Equal("status", "403"))
	other := o.caller(t, "h2", mallory)
	other.url = "http://" + o.Addresses["open"] + "/api/v1"
	other.http.Transport = nil
	other.expect(t, http.StatusOK, http.MethodGet, "/me", "")

	// A user of the store comes into a group that the rule names.
	adas := o.caller(t, "http/1.1", ada)
	o.cli(t, "", "user", "change", "ada", "--join", "lab")
	adas.expect(t, http.StatusOK, http.MethodGet, "/me", "")
	o.cli(t, "", "user", "change", "ada", "--leave", "lab")
	adas.expect(t, http.StatusForbidden, http.MethodGet, "/me", "")

	// The directory knows the groups of whom "why" asks about.
	for user, verdict := range map[string]string{"eve": "would be let in", "mallory": "would be denied", "ada": "would be denied"} {
		if out := o.why(t, "scope", "--user", user); !strings.Contains(out, "scope by listener web "+verdict) {
			t.Errorf("why --user %s:\n%s", user, out)
		}
	}
	if out := o.why(t, "scope", "--user", "ada", "--group", "lab", "--group", "engineers"); !strings.Contains(out, "would be let in") {
		t.Errorf("with groups that are given:\n%s", out)
	}
	o.cli(t, "", "user", "change", "ada", "--join", "lab")
	if out := o.why(t, "scope", "--user", "ada"); !strings.Contains(out, "would be let in") {
		t.Errorf("once ada is in the lab:\n%s", out)
	}

	// What the file takes away is gone at once.
	follower := eve.follow(t, "eve", "")
	start := strings.Index(config, `user "eve"`)
	next := strings.Index(config, `user "mallory"`)
	if out, status := reload(t, o.dir, strings.Replace(config[:start]+config[next:], `"eve", `, "", 1)); status != 0 {
		t.Fatalf("reload: %s", out)
	}
	follower.awaitEnd(t)
	eve.expect(t, http.StatusUnauthorized, http.MethodGet, "/me", "")
	somebody.expect(t, http.StatusUnauthorized, http.MethodPost, "/login", `{"user":"eve","password":"correct horse"}`)
}

// why returns what "jackfield why" says, whatever the verdict.
func (o *office) why(t *testing.T, args ...string) string {
	t.Helper()
	cmd := exec.Command("jackfield", append(append([]string{"why"}, args...), "--socket", "data/admin.sock")...)
	cmd.Dir = o.dir
	out, _ := cmd.CombinedOutput() // the exit status is the verdict's
	return string(out)
}
