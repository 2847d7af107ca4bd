package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"jackfield/internal/api"
	"jackfield/test/live"
)

// TestStoreTruncated cuts off the end of the store's newest block, as a machine that crashed may leave it: the server opens
// what is left, and who was there well before is there.
func TestStoreTruncated(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	writeConfig(t, dir, siteConfig)
	s, err := live.Serve(dir, "jackfield.hcl")
	if err != nil {
		t.Fatal(err)
	}
	before := &site{enter(t, s, dir)}
	secret := before.token(t, "ada")
	const late = 20
	for i := range late {
		if _, err := before.admin(t).AddUser(t.Context(), api.NewUser{Name: fmt.Sprint("late-", i)}); err != nil {
			t.Error(err)
		}
	}
	if err := s.Stop(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	for _, cut := range []int64{1, 100, 512} {
		t.Run(fmt.Sprint(cut), func(t *testing.T) {
			t.Parallel()
			again := t.TempDir()
			copyDir(t, again, dir)
			for _, stream := range []string{"KV_jackfield", "JOURNAL_jackfield_audit"} {
				cutBlock(t, filepath.Join(again, "data"), stream, cut)
			}
			after := serveSite(t, again)
			if me, err := after.bearer(t, secret).Me(t.Context()); err != nil || me.User != "ada" {
				t.Errorf("%+v, %v", me, err)
			}
			left := 0
			for i := range late {
				if _, _, err := after.admin(t).User(t.Context(), fmt.Sprint("late-", i)); err == nil {
					left++
				}
			}
			if lost := late - left; lost < 1 || lost > 3 { // an entry has some 250 bytes
				t.Errorf("%d users are lost", lost)
			}
			if len(live.Select(after.Output(), live.Equal("level", "WARN"), live.Equal("component", "nats-server"))) == 0 {
				t.Errorf("the log does not tell that something is lost:\n%s", after.Output())
			}
			after.token(t, "eve") // it goes on from there
			after.hasOnce(t, after)
		})
	}
}

// cutBlock takes the last bytes of a stream's block file.
func cutBlock(t *testing.T, data, stream string, cut int64) {
	t.Helper()
	blocks, err := filepath.Glob(filepath.Join(data, "store/jetstream/*/streams", stream, "msgs/*.blk"))
	if err != nil || len(blocks) != 1 {
		t.Fatalf("the blocks are %q (%v)", blocks, err)
	}
	if err := os.Truncate(blocks[0], size(t, blocks[0])-cut); err != nil {
		t.Fatal(err)
	}
}

// copyDir copies files and directories with their modes: what is private stays private.
func copyDir(t *testing.T, to, from string) {
	t.Helper()
	if out, err := exec.Command("cp", "-a", from+"/.", to).CombinedOutput(); err != nil {
		t.Fatalf("cp: %v: %s", err, out)
	}
}
