package packaging

import (
	"crypto/sha256"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"jackfield/test/live"
)

// A root is a small Debian of its own. It goes with the test.
type root struct {
	dir    string // as seen from here
	within string // and from the process that has it
	keeper int    // which is this one
}

// mounts lays a file system in memory over the Debian $1, at $2.
const mounts = `
mount -t tmpfs -o mode=0755 none "$2" && cd "$2" && mkdir changed work root &&
mount -t overlay -o "lowerdir=$1,upperdir=$2/changed,workdir=$2/work" none root &&
mount -t proc none root/proc && mount --bind /dev root/dev && echo ready && exec cat`

func newRoot(t *testing.T) *root {
	t.Helper()
	debian := filepath.Join(os.Getenv("JACKFIELD_PEERS"), "debian")
	if _, err := os.Stat(filepath.Join(debian, "usr/bin/dpkg")); err != nil {
		live.Missing(t, "small Debian", "run make peers and set JACKFIELD_PEERS to .cache/peers")
	}
	if os.Getuid() != 0 {
		live.Missing(t, "right to install packages", "run the tests as root")
	}
	within := t.TempDir()
	keeper := exec.Command("unshare", "--mount", "sh", "-c", mounts, "sh", debian, within)
	stdin, err := keeper.StdinPipe() // is closed with the test, however that ends
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := keeper.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var why strings.Builder
	keeper.Stderr = &why
	if err := keeper.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		stdin.Close()
		keeper.Wait()
	})
	if _, err := io.ReadFull(stdout, make([]byte, len("ready\n"))); err != nil {
		keeper.Wait()
		live.Missing(t, "private file system", "the tests need the right to mount: "+why.String())
	}
	within = filepath.Join(within, "root")
	return &root{dir: fmt.Sprintf("/proc/%d/root%s", keeper.Process.Pid, within), within: within, keeper: keeper.Process.Pid}
}

// command is a command inside.
func (r *root) command(command ...string) *exec.Cmd {
	into := []string{"--mount", "--target", strconv.Itoa(r.keeper), "chroot", r.within}
	cmd := exec.Command("nsenter", append(into, command...)...)
	cmd.Env = append(os.Environ(), "LC_ALL=C.UTF-8", "DEBIAN_FRONTEND=noninteractive",
		"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
	return cmd
}

func (r *root) run(t *testing.T, command ...string) string {
	t.Helper()
	return run(t, r.command(command...))
}

// install installs a package's file.
func (r *root) install(t *testing.T, deb string) string {
	t.Helper()
	place := filepath.Join(r.dir, "package.deb")
	run(t, exec.Command("cp", deb, place))
	defer os.Remove(place)
	return r.run(t, "dpkg", "--install", "/package.deb")
}

func (r *root) write(t *testing.T, path, text string, mode fs.FileMode) {
	t.Helper()
	path = filepath.Join(r.dir, path)
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
}

func (r *root) exists(path string) bool {
	_, err := os.Lstat(filepath.Join(r.dir, path))
	return err == nil
}

// passing is what may change when any package comes and goes: records of dpkg, the copies that user tools make of the files
// that they change, caches, and a mark of systemctl's that is gone with the next boot.
var passing = []string{
	"dev", "proc", "run/systemd/systemd-units-load",
	"etc/passwd-", "etc/group-", "etc/shadow-", "etc/gshadow-", "etc/.pwd.lock",
	"var/lib/dpkg/available", "var/lib/dpkg/lock", "var/lib/dpkg/lock-frontend", "var/lib/dpkg/status", "var/lib/dpkg/status-old",
	"var/lib/dpkg/triggers", "var/log/dpkg.log",
	"var/cache/ldconfig", "var/cache/man",
}

// A tree is what there is in a root: for each path its kind, mode, owner and content.
type tree map[string]string

func (r *root) tree(t *testing.T) tree {
	t.Helper()
	all := tree{}
	err := filepath.WalkDir(r.dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(r.dir, path)
		if err != nil {
			return err
		}
		if slices.Contains(passing, name) {
			if entry.IsDir() {
				return fs.SkipDir
			}
			return nil
		}
		all[name], err = describe(path, entry)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func describe(path string, entry fs.DirEntry) (string, error) {
	info, err := entry.Info()
	if err != nil {
		return "", err
	}
	owner := info.Sys().(*syscall.Stat_t)
	text := fmt.Sprintf("%v %d:%d", info.Mode(), owner.Uid, owner.Gid)
	switch {
	case info.Mode().IsRegular():
		content, err := os.ReadFile(path)
		return fmt.Sprintf("%s %x", text, sha256.Sum256(content)), err
	case info.Mode()&fs.ModeSymlink != 0:
		target, err := os.Readlink(path)
		return text + " " + target, err
	}
	return text, nil
}

// expectTree wants everything to be as it was.
func (r *root) expectTree(t *testing.T, before tree) {
	t.Helper()
	after := r.tree(t)
	for _, path := range slices.Sorted(maps.Keys(after)) {
		if was, is := before[path], after[path]; was != is {
			t.Errorf("%s: %q, and before %q", path, is, was)
		}
	}
	for path := range before {
		if _, there := after[path]; !there {
			t.Errorf("%s is gone", path)
		}
	}
}
