package e2e

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	domain "jackfield"
	"jackfield/internal/api"
	"jackfield/test/live"
)

// TestStoreFullDisk fills the disk under data_dir: changes fail, and say why; who is known stays known, and what runs goes on.
// With room again all works without a restart, and what was acknowledged is there after one.
func TestStoreFullDisk(t *testing.T) {
	t.Parallel()
	d := newDisk(t, "64m")
	s := d.serve(t)
	b := s.bystander(t)
	admin := s.admin(t)
	added := []string{"bystander"}
	add := func(name string) error {
		_, err := admin.AddUser(t.Context(), api.NewUser{Name: name})
		if err == nil {
			added = append(added, name)
		}
		return err
	}
	for i := range 10 {
		if err := add(fmt.Sprint("before-", i)); err != nil {
			t.Fatal(err)
		}
	}

	filler := d.fill(t)
	b.during(t, func() {
		for i := range 10 {
			if err := add(fmt.Sprint("during-", i)); !isKind(err, domain.Unavailable) {
				t.Errorf("on a full disk, to add a user: %v", err)
			}
		}
		if _, err := admin.AddToken(t.Context(), api.NewToken{User: "bystander"}); !isKind(err, domain.Unavailable) {
			t.Errorf("on a full disk, to add a token: %v", err)
		}
		if err := admin.RemoveUser(t.Context(), "before-0", ""); !isKind(err, domain.Unavailable) {
			t.Errorf("on a full disk, to remove a user: %v", err)
		}
		said := run(t, d.dir, 1, "user", "add", "eve", "--no-password", "--socket", "data/admin.sock")
		if lines := strings.Count(said, "\n"); lines != 1 || !strings.Contains(said, "store") {
			t.Errorf("the command says: %s", said)
		}
		var got string // the last page of the audit's file may have had some room
		if !eventually(func() bool {
			got = ask(t, s.Server)
			return strings.HasPrefix(got, "-the audit log cannot be written [")
		}) {
			t.Errorf("a new session gets %q", got)
		}
	})
	b.goesOn(t)

	const little = 4 << 20 // bytes: enough for the audit file, too few for the store
	if err := os.Truncate(filler, size(t, filler)-little); err != nil {
		t.Fatal(err)
	}
	if got := ask(t, s.Server); got != "+\r\n" {
		t.Errorf("with little room a new session gets %q", got)
	}
	if err := add("little"); !isKind(err, domain.Unavailable) {
		t.Errorf("with little room, to add a user: %v", err)
	}
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	s.addUser(t, api.NewUser{Name: "after"}) // the store may take a moment
	added = append(added, "after")
	b.goesOn(t)
	if got := ask(t, s.Server); got != "+\r\n" {
		t.Errorf("a new session gets %q", got)
	}
	s.expectUsers(t, added)
	for _, line := range live.Select(s.Output(), live.Equal("level", "ERROR")) {
		if text := fmt.Sprint(line["msg"], line["reason"]); !strings.Contains(text, "audit log cannot be written") {
			t.Errorf("the log has an error: %v", line)
		}
	}
	s.hasOnce(t, s)
	if lost := auditLines(t, s.dir, live.Equal("event", "lost")); len(lost) > 0 {
		t.Errorf("records are lost: %v", lost)
	}

	b.session.close() // which the stop would wait for
	d.stop(t)
	s = d.serve(t)
	s.expectUsers(t, added)
	if me, err := s.bearer(t, b.secret).Me(t.Context()); err != nil || me.User != "bystander" {
		t.Errorf("after a restart: %+v, %v", me, err)
	}
	if err := add("late"); err != nil {
		t.Error(err)
	}
	s.hasOnce(t, s)
}

func isKind(err error, kind domain.Kind) bool { return err != nil && domain.AsError(err).Kind == kind }

// expectUsers wants these users, and the first admin.
func (s *site) expectUsers(t *testing.T, names []string) {
	t.Helper()
	users, err := s.admin(t).Users(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var have []string
	for _, u := range users {
		have = append(have, u.Name)
	}
	want := append([]string{"admin"}, names...)
	slices.Sort(want)
	if !slices.Equal(have, want) {
		t.Errorf("there are the users %v, and not %v", have, want)
	}
}

// A disk is a small one of its own, on which a server has its data_dir. It goes with the test.
type disk struct {
	dir    string // as seen from here
	within string // and from the server
	keeper int    // the process that has it
	server *live.Server
}

func newDisk(t *testing.T, size string) *disk {
	t.Helper()
	within := t.TempDir()
	writeFile(t, filepath.Join(within, "jackfield.hcl"), siteConfig)
	if err := os.Mkdir(filepath.Join(within, "data"), 0o700); err != nil {
		t.Fatal(err)
	}
	unshare := live.Unshare("--mount")
	mount := "mount -t tmpfs -o mode=0700,size=" + size + " none data && echo ready && exec cat"
	keeper := exec.Command(unshare[0], append(unshare[1:], "sh", "-c", mount)...)
	keeper.Dir = within
	stdin, err := keeper.StdinPipe() // is closed with the test, however that ends
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := keeper.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := keeper.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		stdin.Close()
		keeper.Wait()
	})
	if _, err := io.ReadFull(stdout, make([]byte, len("ready\n"))); err != nil {
		live.Missing(t, "private disk", "run the tests as root, or allow user namespaces")
	}
	return &disk{dir: fmt.Sprintf("/proc/%d/root%s", keeper.Process.Pid, within), within: within, keeper: keeper.Process.Pid}
}

// serve runs a server on the disk until stop, or the test's end.
func (d *disk) serve(t *testing.T) *site {
	t.Helper()
	into := []string{"nsenter", "--mount", "--target", strconv.Itoa(d.keeper)}
	if os.Getuid() != 0 {
		into = append(into, "--user", "--preserve-credentials")
	}
	into = append(into, "sh", "-c", `cd "$1" && exec jackfield serve --config jackfield.hcl`, "sh", d.within)
	cmd := exec.Command(into[0], into[1:]...)
	server, err := live.ServeCommand(cmd)
	if err != nil {
		t.Fatal(err)
	}
	d.server = server
	t.Cleanup(func() {
		if d.server == server {
			d.stop(t)
		}
	})
	return &site{enter(t, server, d.dir)}
}

func (d *disk) stop(t *testing.T) {
	t.Helper()
	if err := d.server.Stop(syscall.SIGTERM); err != nil {
		t.Error(err)
	}
	d.server = nil
}

// fill leaves nothing of the disk, and returns the file that takes it.
func (d *disk) fill(t *testing.T) (filler string) {
	t.Helper()
	filler = filepath.Join(d.dir, "data", "filler")
	file, err := os.Create(filler)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if _, err := io.Copy(file, endless{}); !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("the disk is not full: %v", err)
	}
	return filler
}

func size(t *testing.T, path string) int64 {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info.Size()
}
