package packaging

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"jackfield/test/live"
)

// testContainer runs what the image description says, as the user that it says, in the file system that it describes.
func testContainer(t *testing.T, dir string) {
	if os.Getuid() != 0 {
		live.Missing(t, "right to change the root directory", "run the tests as root")
	}
	image := parseImage(t)
	if image["FROM"] != "scratch" || image["ADD"] != "rootfs.tar /" {
		t.Fatalf("the image is made of %q and %q", image["FROM"], image["ADD"])
	}
	root := t.TempDir()
	run(t, exec.Command("tar", "--extract", "--preserve-permissions", "--numeric-owner", "--directory", root,
		"--file", filepath.Join(dir, "rootfs.tar")))
	if _, err := os.Stat(filepath.Join(root, image["VOLUME"])); err != nil {
		t.Error(err)
	}
	s, err := live.ServeCommand(inside(t, root, image["USER"], append(words(t, image["ENTRYPOINT"]), words(t, image["CMD"])...)))
	if err != nil {
		t.Fatal(err)
	}
	exchange(t, "127.0.0.1:1078")
	ready(t, s.Addresses["admin"])
	sessions := append(words(t, image["ENTRYPOINT"]), "sessions") // as with "podman exec"
	run(t, inside(t, root, image["USER"], sessions))
	if err := s.Stop(syscall.SIGTERM); err != nil {
		t.Error(err)
	}
}

// parseImage are the instructions of the Containerfile. There is one of each.
func parseImage(t *testing.T) map[string]string {
	t.Helper()
	image := map[string]string{}
	for line := range strings.Lines(read(t, project, "packaging/container/Containerfile")) {
		instruction, arguments, _ := strings.Cut(strings.TrimSpace(line), " ")
		if instruction == "" || instruction[0] == '#' {
			continue
		}
		if image[instruction] != "" {
			t.Fatalf("%s stands there twice", instruction)
		}
		image[instruction] = arguments
	}
	return image
}

func words(t *testing.T, list string) []string {
	t.Helper()
	var words []string
	if err := json.Unmarshal([]byte(list), &words); err != nil {
		t.Fatalf("%s: %v", list, err)
	}
	return words
}

// inside is a command for which root is all there is, and which has no privileges.
func inside(t *testing.T, root, user string, command []string) *exec.Cmd {
	t.Helper()
	uid, gid, _ := strings.Cut(user, ":")
	var ids [2]uint32
	for i, text := range []string{uid, gid} {
		id, err := strconv.ParseUint(text, 10, 32)
		if err != nil || id == 0 {
			t.Fatalf("the image's user is %q", user)
		}
		ids[i] = uint32(id)
	}
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Dir, cmd.Env = "/", []string{}
	cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: root, Credential: &syscall.Credential{Uid: ids[0], Gid: ids[1]}}
	return cmd
}
