//go:build linux

package peer

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"

	"jackfield/bench/process"
)

// SSH is OpenSSH's ssh -R: its server listens for clients when ssh, the device, asks for that. Both run as the same user,
// who is not root: as root sshd wants an account and a directory of the system.
type SSH struct{}

// Name says what the link has that Jackfield's has not.
func (SSH) Name() string { return "ssh -R, encrypted" }

// Installed looks for sshd, which may be unpacked, and for ssh and ssh-keygen.
func (SSH) Installed() error {
	for _, name := range []string{"ssh", "ssh-keygen"} {
		if _, err := find(name); err != nil {
			return err
		}
	}
	_, err := sshd()
	return err
}

func sshd() (string, error) { return findUnpacked("openssh-server", "usr/sbin/sshd") }

// Version asks ssh -V.
func (SSH) Version(ctx context.Context) (string, error) {
	return versionLine(ctx, "OpenSSH", "ssh", "-V")
}

// The names of what ssh and sshd need, in the place.
const (
	hostKey = "host"
	userKey = "user"
)

// Command makes keys, and a configuration beside which the system's does not count.
func (SSH) Command(p Place) (process.Spec, error) {
	for _, name := range []string{hostKey, userKey} {
		if err := p.makeKey(name); err != nil {
			return process.Spec{}, err
		}
	}
	host, err := os.ReadFile(filepath.Join(p.Dir, hostKey+".pub"))
	if err != nil {
		return process.Spec{}, err
	}
	if _, err := p.write("known_hosts", "bench "+string(host)); err != nil {
		return process.Spec{}, err
	}
	file, err := p.write("sshd_config", fmt.Sprintf(sshdConfig, p.Link, filepath.Join(p.Dir, hostKey), filepath.Join(p.Dir, userKey)))
	if err != nil {
		return process.Spec{}, err
	}
	path, err := sshd()
	if err != nil {
		return process.Spec{}, err
	}
	program, err := p.bring(path)
	return process.Spec{Path: program, Args: []string{"-D", "-e", "-f", file}}, err
}

const sshdConfig = `ListenAddress %s
HostKey %s
AuthorizedKeysFile %s.pub
PidFile none
UsePAM yes
StrictModes no
PasswordAuthentication no
KbdInteractiveAuthentication no
`

// makeKey makes a pair of keys that belong to who will use them.
func (p Place) makeKey(name string) error {
	cmd := exec.Command("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "bench", "-f", filepath.Join(p.Dir, name))
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: p.User.As}
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("ssh-keygen: %w: %s", err, out)
	}
	return nil
}

// Device dials with the key, and ends if the server does not listen for clients. Ciphers are those that OpenSSH prefers.
func (SSH) Device(p Place) (process.Spec, error) {
	path, err := find("ssh")
	if err != nil {
		return process.Spec{}, err
	}
	host, port, err := net.SplitHostPort(p.Link)
	return process.Spec{Path: path, Args: []string{
		"-F", "none", "-N", "-i", filepath.Join(p.Dir, userKey), "-p", port, "-l", p.User.Name,
		"-o", "IdentitiesOnly=yes", "-o", "BatchMode=yes", "-o", "HostKeyAlias=bench", "-o", "UpdateHostKeys=no",
		"-o", "UserKnownHostsFile=" + filepath.Join(p.Dir, "known_hosts"), "-o", "GlobalKnownHostsFile=none",
		"-o", "ExitOnForwardFailure=yes", "-R", p.Listen + ":" + p.Service, host,
	}}, err
}
