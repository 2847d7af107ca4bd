package e2e

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"

	"jackfield/internal/identity"
	"jackfield/test/live"
)

// secretsConfig is officeConfig with a user of its own, whose hash of a password comes from a file.
const secretsConfig = officeConfig + `
listener "plain" {
  protocol = "http"
  listen   = "127.0.0.1:0"
}
user "eve" {
  admin         = true
  password_hash = file("eve.hash")
}
`

// A vault knows every secret that a test has made.
type vault struct {
	secrets map[string]string // by what they are
	said    []string          // what was shown where no secret belongs
}

func (v *vault) add(what, secret string) string {
	if len(secret) < 8 {
		panic(fmt.Sprintf("%s is too short to be looked for: %q", what, secret)) // the test is wrong
	}
	v.secrets[what] = secret
	return secret
}

// addToken adds a token's secret, and its hash, by which it is found in the store.
func (v *vault) addToken(what, secret string) string {
	sum := sha256.Sum256([]byte(secret))
	v.add("the hash of "+what, hex.EncodeToString(sum[:]))
	return v.add(what, secret)
}

// addKeys adds the lines of every private key in a PEM file.
func (v *vault) addKeys(t *testing.T, what, path string) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	found := false
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		if strings.Contains(block.Type, "PRIVATE KEY") {
			found = true
			v.add(what+", in the middle", base64.StdEncoding.EncodeToString(block.Bytes[48:96]))
			v.add(what+", in hexadecimal", hex.EncodeToString(block.Bytes[36:68]))
		}
	}
	if !found {
		t.Fatalf("%s holds no private key", path)
	}
}

// search reports every secret that is in a text, but for those that belong there.
func (v *vault) search(t *testing.T, place, text string, belongs func(what string) bool) {
	t.Helper()
	for _, what := range slices.Sorted(maps.Keys(v.secrets)) {
		if i := strings.Index(text, v.secrets[what]); i >= 0 && !belongs(what) {
			t.Errorf("%s shows %s: …%q…", place, what, text[max(0, i-200):min(len(text), i+20)])
		}
	}
}

func nothing(string) bool { return false }

// TestSecrets does all that has to do with secrets, rightly and wrongly, with the log at its most talkative, and then looks for
// each of them everywhere.
func TestSecrets(t *testing.T) {
	t.Parallel()
	v := &vault{secrets: map[string]string{}}
	dir, echo := t.TempDir(), startEcho(t)
	writeConfig(t, dir, secretsConfig)
	hash, err := identity.NewPasswordHash(v.add("eve's password", "eve's battery staple"))
	if err != nil {
		t.Fatal(err)
	}
	v.add("eve's hash", hash.PHC())
	v.add("the end of eve's hash", hash.PHC()[len(hash.PHC())-20:])
	if err := os.WriteFile(filepath.Join(dir, "eve.hash"), []byte(hash.PHC()), 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := live.Serve(dir, "jackfield.hcl", "echo="+echo)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Stop(syscall.SIGTERM) })
	o := enter(t, s, dir)
	v.exercise(t, o)
	if err := s.Stop(syscall.SIGTERM); err != nil {
		t.Error(err)
	}
	v.search(t, "the log", s.Output(), nothing)
	for i, text := range v.said {
		v.search(t, fmt.Sprintf("answer %d", i), text, nothing)
	}
	t.Logf("%d secrets, %d answers, %d bytes of log", len(v.secrets), len(v.said), len(s.Output()))
	v.searchDirectory(t, filepath.Join(dir, "data"))
}

// searchDirectory looks into all that the server has written.
func (v *vault) searchDirectory(t *testing.T, dir string) {
	t.Helper()
	store, authority := filepath.Join(dir, "store"), filepath.Join(dir, "ca")
	found := false
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		if info, err := entry.Info(); err == nil && info.Mode().Perm()&0o077 != 0 && !strings.HasPrefix(path, store) {
			t.Errorf("%s has the mode %v", path, info.Mode())
		}
		text, err := os.ReadFile(path)
		v.search(t, path, string(text), func(what string) bool {
			switch {
			case strings.HasPrefix(path, store):
				its := strings.Contains(what, "hash")
				found = found || its
				return its
			case strings.HasPrefix(path, authority):
				return strings.HasPrefix(what, "the authority's key")
			}
			return false
		})
		return err
	})
	if err != nil {
		t.Error(err)
	}
	if !found {
		t.Error("the hashes of tokens are not even in the store: they are not looked for in the right way")
	}
}

// exercise makes secrets and uses them.
func (v *vault) exercise(t *testing.T, o *office) {
	text, err := os.ReadFile(filepath.Join(o.dir, "data/first-token"))
	if err == nil { // there is an administrator in the file
		t.Errorf("there is a first token: %s", text)
	}
	v.addKeys(t, "the authority's key", filepath.Join(o.dir, "data/ca/ca.pem"))

	// Passwords, by the command line and the API.
	v.cli(t, o, v.add("ada's password", "ada's correct horse"), "user", "add", "ada", "--password-stdin")
	v.cli(t, o, v.add("ada's next password", "ada's next horse"), "user", "passwd", "ada", "--password-stdin")
	somebody := o.caller(t, "h2", "")
	admin := o.caller(t, "http/1.1", v.addToken("eve's token", somebody.login(t, fmt.Sprintf(
		`{"user":"eve","password":%q,"scopes":["admin","read","write","connect"]}`, v.secrets["eve's password"]))))
	ada := o.caller(t, "h2", v.addToken("ada's token", somebody.login(t, fmt.Sprintf(
		`{"user":"ada","password":%q,"label":"laptop"}`, v.secrets["ada's next password"]))))
	for _, test := range []struct {
		who                *caller
		method, path, body string
	}{
		{admin, "POST", "/users", `{"name":"bob","password":"` + v.add("bob's password", "bob's first horse") + `"}`},
		{admin, "POST", "/users", `{"name":"bob","password":"` + v.add("a second password of bob's", "bob's second horse") + `"}`},
		{admin, "PUT", "/users/bob/password", `{"password":"` + v.add("bob's next password", "bob's third horse") + `"}`},
		{ada, "PUT", "/users/ada/password", `{"password":"` + v.add("ada's last password", "ada's last horse") + `","current":"` + v.add("a wrong guess", "ada's lost horse") + `"}`},
		{ada, "PUT", "/users/ada/password", `{"password":"ada's last horse","current":"ada's next horse"}`},
		{admin, "PUT", "/users/eve/password", `{"password":"` + v.add("a password for one of the file", "eve's other horse") + `"}`},
		{admin, "PUT", "/users/bob/password", `{"passwort":"` + v.add("a password in an unknown field", "bob's hidden horse") + `"}`},
		{admin, "PUT", "/users/bob/password", `"` + v.add("a password in broken JSON", "bob's broken horse")},
		{somebody, "POST", "/login", `{"user":"ada","password":"` + v.add("a wrong password", "ada's wrong horse") + `"}`},
		{somebody, "POST", "/login", `{"user":"` + v.add("a password in the place of the name", "ada's-misplaced-horse") + `","password":"whatever"}`},
		{somebody, "POST", "/login", `{"user":"ada","password":["` + v.add("a password in a list", "ada's listed horse") + `"]}`},
		{somebody, "POST", "/login?password=" + v.add("a password in the query", "ada-s-query-horse"), `{}`},
		{somebody, "GET", "/me?token=" + v.secrets["ada's token"], ""},
		{o.caller(t, "h2", ada.token[:40]), "GET", "/me", ""},
		{o.caller(t, "h2", ada.token+"x"), "GET", "/me", ""},
		{o.caller(t, "http/1.1", strings.Replace(ada.token, "jft_", "jft-", 1)), "GET", "/me", ""},
		{admin, "GET", "/tokens/" + v.secrets["ada's token"], ""},
		{admin, "DELETE", "/tokens/" + v.addToken("a token in the place of its id", o.cli(t, "", "token", "add", "ada")), ""},
		{ada, "GET", "/users", ""},
		{ada, "GET", "/nowhere", ""},
	} {
		_, answer := test.who.ask(t, test.method, test.path, test.body)
		v.said = append(v.said, answer)
	}
	v.add("the beginning of ada's token", ada.token[:40])

	// Tokens, good for long or for once, and what they open.
	once := v.addToken("a one-time token", o.cli(t, "", "token", "add", "ada", "--one-time"))
	v.said = append(v.said, o.caller(t, "h2", once).expect(t, http.StatusUnauthorized, "GET", "/me", ""))
	v.addToken("a token for the one-time token", somebody.login(t, `{"token":"`+once+`"}`))
	v.said = append(v.said, somebody.expect(t, http.StatusUnauthorized, "POST", "/login", `{"token":"`+once+`"}`))
	voided := o.caller(t, "h2", v.addToken("a token that is revoked", o.cli(t, "", "token", "add", "bob")))
	follower := voided.follow(t, "bob", "")
	o.cli(t, "", "user", "rm", "bob")
	follower.awaitEnd(t)
	v.said = append(v.said, voided.expect(t, http.StatusUnauthorized, "GET", "/me", ""))
	v.said = append(v.said, ada.expect(t, http.StatusNoContent, "POST", "/logout", ""))
	v.said = append(v.said, ada.expect(t, http.StatusUnauthorized, "GET", "/me", ""))

	// Certificates, a new authority, a backup, a reload.
	pair, _ := o.certificate(t, "user", "ada", "ada")
	v.addKeys(t, "ada's key", filepath.Join(o.dir, "ada/key.pem"))
	v.said = append(v.said, o.caller(t, "h2", "", pair).expect(t, http.StatusOK, "GET", "/me", ""))
	o.certificate(t, "device", "meter", "meter")
	v.addKeys(t, "the meter's key", filepath.Join(o.dir, "meter/key.pem"))
	o.cli(t, "", "certificate", "rotate")
	v.addKeys(t, "the authority's key, the next", filepath.Join(o.dir, "data/ca/ca.pem"))
	o.cli(t, "", "backup", "state.backup")
	o.cli(t, "", "restore", "state.backup", "--yes")
	v.said = append(v.said, o.cli(t, "", "reload"))
	end(t, o.session(t))

	// What is in the store has a hash; what is shown has none.
	v.addHashes(t, filepath.Join(o.dir, "data/store"))
	for _, args := range [][]string{
		{"user", "ls"}, {"user", "ls", "--json"}, {"token", "ls"}, {"token", "ls", "--json"}, {"certificate", "ls", "--json"},
		{"certificate", "authority"}, {"sessions", "--json"}, {"devices", "--json"}, {"why", "echo", "--listener", "mux"},
	} {
		v.said = append(v.said, o.cli(t, "", args...))
	}
	for _, path := range []string{"/users", "/users/eve", "/tokens?user=ada", "/audit", "/certificates", "/openapi.json", "/status", "/me"} {
		v.said = append(v.said, admin.expect(t, http.StatusOK, "GET", path, ""))
	}
	v.said = append(v.said, fmt.Sprint(o.records(t)), metrics(t, o))
}

// cli runs a command that reads a password, and looks at what the system shows of it meanwhile.
func (v *vault) cli(t *testing.T, o *office, password string, args ...string) {
	t.Helper()
	cmd := exec.Command("jackfield", append(args, "--socket", "data/admin.sock")...)
	cmd.Dir = o.dir
	input, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	p, err := live.Start(cmd)
	if err != nil {
		t.Fatal(err)
	}
	io.WriteString(input, password) // without the line's end, it waits for more
	for _, file := range []string{"cmdline", "environ"} {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", p.PID(), file))
		if err != nil {
			t.Error(err)
		}
		v.said = append(v.said, string(text))
	}
	input.Close()
	if err := p.Stop(syscall.Signal(0)); err != nil {
		t.Error(err)
	}
	v.said = append(v.said, p.Output())
}

// addHashes adds the hashes of passwords that the store's files hold.
func (v *vault) addHashes(t *testing.T, dir string) {
	t.Helper()
	hashes := regexp.MustCompile(`\$argon2id\$v=19\$[a-z0-9=,]+\$[A-Za-z0-9+/]+\$([A-Za-z0-9+/]+)`)
	before := len(v.secrets)
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		text, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			return nil // the store, which is at work, has put another one in its place
		}
		for i, found := range hashes.FindAllSubmatch(text, -1) {
			v.add(fmt.Sprintf("hash %d in %s", i, filepath.Base(path)), string(found[1]))
		}
		return err
	})
	if err != nil || len(v.secrets) == before {
		t.Errorf("the store holds no hash of a password (%v)", err)
	}
}

func metrics(t *testing.T, o *office) string {
	t.Helper()
	response, err := http.Get("http://" + o.Addresses["admin"] + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil || !strings.Contains(string(text), "jackfield_") {
		t.Errorf("%v: %s", err, text)
	}
	return string(text)
}
