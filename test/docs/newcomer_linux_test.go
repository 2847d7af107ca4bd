package docs

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"jackfield/test/live"
)

// tutorial is run as somebody who is new to the machine: an ordinary user in a fresh directory, whose home has nothing but a key that
// the ssh server on port 22 takes.
const tutorial = "docs/ssh.md"

const newcomer = 61000 // user and group

// asNewcomer returns the command that runs a script as that user.
func asNewcomer(t *testing.T, script string) *exec.Cmd {
	t.Helper()
	sshd := filepath.Join(os.Getenv("JACKFIELD_PEERS"), "openssh-server/usr/sbin/sshd")
	if _, err := os.Stat(sshd); err != nil || os.Getuid() != 0 {
		live.Missing(t, "sshd, or the rights to be another user", "run as root, after make peers, with JACKFIELD_PEERS set to .cache/peers")
	}
	dir := accessible(t)
	home := filepath.Join(dir, "home")
	for _, made := range []string{home, filepath.Join(home, ".ssh"), filepath.Join(home, "try"), filepath.Join(dir, "bin")} {
		must(t, os.Mkdir(made, 0o755))
	}
	must(t, copyProgram(filepath.Join(dir, "bin/jackfield")))
	for _, key := range []string{filepath.Join(dir, "host"), filepath.Join(home, ".ssh/id_ed25519")} {
		must(t, exec.Command("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key).Run())
	}
	accounts, err := os.ReadFile("/etc/passwd")
	must(t, err)
	must(t, os.WriteFile(filepath.Join(dir, "passwd"), fmt.Appendf(accounts,
		"sshd:x:65533:65534::/run/sshd:/usr/sbin/nologin\nnewcomer:x:%[1]d:%[1]d::%[2]s:/bin/sh\n", newcomer, home), 0o644))
	must(t, os.WriteFile(filepath.Join(dir, "sshd_config"), fmt.Appendf(nil,
		"ListenAddress 127.0.0.1:22\nHostKey %[1]s/host\nAuthorizedKeysFile %[1]s/home/.ssh/id_ed25519.pub\n"+
			"PidFile none\nUsePAM no\nStrictModes no\nSubsystem sftp internal-sftp\n", dir), 0o644))
	must(t, exec.Command("chown", "-R", fmt.Sprintf("%[1]d:%[1]d", newcomer), home).Run())

	const setUp = `mount --bind "$1/passwd" /etc/passwd
mount -t tmpfs -o mode=755 none /run
mkdir /run/sshd
"$2" -D -e -f "$1/sshd_config" 2> "$1/sshd.log" &
until grep -q 'Server listening' "$1/sshd.log"; do kill -0 $!; sleep 0.1; done
cd "$1/home/try"
exec env -i HOME="$1/home" USER=newcomer LANG=C.UTF-8 PATH="$1/bin:/usr/local/bin:/usr/bin:/bin" GORACE="$GORACE" \
	JACKFIELD_PRIVATE_NETWORK=yes setpriv --reuid "$3" --regid "$3" --clear-groups sh -e -c "$4"`
	return exec.Command("unshare", "--mount", "sh", "-euc", setUp, "sh", dir, sshd, fmt.Sprint(newcomer), script)
}

// accessible makes a directory that other users may enter, as those of the tests' own are not.
func accessible(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "jackfield-newcomer-")
	must(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	must(t, os.Chmod(dir, 0o755))
	return dir
}

// copyProgram copies this binary, which is the command that it is called by.
func copyProgram(to string) error {
	own, err := os.Executable()
	if err != nil {
		return err
	}
	from, err := os.Open(own)
	if err != nil {
		return err
	}
	defer from.Close()
	file, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY, 0o755)
	if err != nil {
		return err
	}
	if _, err := io.Copy(file, from); err != nil {
		return err
	}
	return file.Close()
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
