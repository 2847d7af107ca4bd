package e2e

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"jackfield/test/live"
)

// TestConnectSSHBulk: what ssh sends and gets through programs that it runs as ProxyCommand is whole, both ways at once.
func TestConnectSSHBulk(t *testing.T) {
	t.Parallel()
	tool(t, "proxytunnel", "run make peers")
	sshd := peerProgram(t, "openssh-server", "usr/sbin/sshd")
	home := newNamespace(t)
	d := &desk{dir: t.TempDir(), address: "127.0.0.1:1443"}
	keys := startSSH(t, home, sshd, filepath.Join(d.dir, "ssh"))
	writeConfig(t, d.dir, deskConfig)
	environment := append(os.Environ(), "data=data", "address="+d.address, "echo=127.0.0.1:1", "XDG_CONFIG_HOME="+filepath.Join(d.dir, "config"))
	serve := home.command("jackfield", "serve", "--config", "jackfield.hcl")
	serve.Dir, serve.Env = d.dir, environment
	s, err := live.ServeCommand(serve)
	if err != nil {
		t.Fatal(err)
	}
	d.Server = s
	t.Cleanup(func() { d.stop(t) })
	prepare := home.command("sh", "-euc", `jackfield login `+d.address+` --trust --token-stdin <data/first-token
jackfield token add admin --scope connect --socket data/admin.sock >token
jackfield certificate authority --socket data/admin.sock >authority.pem
umask 077; printf 'proxy_user = admin\nproxy_passwd = %s\n' "$(cat token)" >credentials`)
	prepare.Dir, prepare.Env = d.dir, environment
	if out, err := prepare.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	want, _, _ := sumOf(stream(upward, bulkSize()))
	for name, command := range map[string]string{
		"jackfield connect": "jackfield connect ssh.board-1",
		"proxytunnel":       fmt.Sprintf("proxytunnel -q -E -C authority.pem -p %s -F credentials -d ssh.board-1:1", d.address),
	} {
		t.Run(name, func(t *testing.T) {
			ssh := home.command(sshCommand(keys, "ProxyCommand="+command, "cat")...)
			var complaint strings.Builder
			ssh.Dir, ssh.Env, ssh.Stderr = d.dir, environment, &complaint
			ssh.Stdin = stream(upward, bulkSize())
			out, err := ssh.StdoutPipe()
			if err == nil {
				err = ssh.Start()
			}
			if err != nil {
				t.Fatal(err)
			}
			watchdog := time.AfterFunc(bulkPatience(), func() { ssh.Process.Kill() })
			defer watchdog.Stop()
			began := time.Now()
			got, n, err := sumOf(out)
			if got != want {
				t.Errorf("%d bytes have come back, or others", n)
			}
			if err := errors.Join(err, ssh.Wait()); err != nil {
				t.Errorf("%v: %s", err, &complaint)
			}
			t.Logf("%d MiB each way: %.1f s", bulkSize()>>20, time.Since(began).Seconds())
		})
	}
}
