package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"jackfield/test/live"
)

// A namespace is a network of its own, which lives as long as a process that only waits for the test's end.
type namespace struct{ pid int }

// newNamespace makes a network with a loopback interface. Where that is not allowed, the test is skipped, or fails.
func newNamespace(t *testing.T) *namespace {
	t.Helper()
	keeper := exec.Command("cat")
	keeper.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET}
	pipe, err := keeper.StdinPipe() // is closed with the test, however that ends
	if err != nil {
		t.Fatal(err)
	}
	if err := keeper.Start(); err != nil {
		live.Missing(t, "right to make networks ("+err.Error()+")", "run the tests as root")
	}
	t.Cleanup(func() {
		pipe.Close()
		keeper.Wait()
	})
	n := &namespace{keeper.Process.Pid}
	n.sh(t, "ip link set lo up")
	return n
}

// command returns a command that runs in the namespace.
func (n *namespace) command(args ...string) *exec.Cmd {
	return exec.Command("nsenter", append([]string{"--net", "--target", strconv.Itoa(n.pid)}, args...)...)
}

// sh runs lines of shell in the namespace, each of which must succeed.
func (n *namespace) sh(t *testing.T, script string) {
	t.Helper()
	if out, err := n.command("sh", "-euc", script).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v: %s", script, err, out)
	}
}

// join lays a cable between two namespaces.
func join(t *testing.T, a *namespace, nameA, addressA string, b *namespace, nameB, addressB string) {
	t.Helper()
	a.sh(t, fmt.Sprintf("ip link add name %s type veth peer name %s netns %d", nameA, nameB, b.pid))
	a.sh(t, fmt.Sprintf("ip address add %s dev %s && ip link set %s up", addressA, nameA, nameA))
	b.sh(t, fmt.Sprintf("ip address add %s dev %s && ip link set %s up", addressB, nameB, nameB))
}

const hidden = "10.0.0.2" // the address of each device, behind a router of its own

// behindNAT makes a router at an address on the internet, and a device behind it, whose connections have the router's address.
func behindNAT(t *testing.T, internet *namespace, name, near, far string) (device *namespace) {
	t.Helper()
	router, device := newNamespace(t), newNamespace(t)
	join(t, internet, name, near+"/30", router, "out", far+"/30")
	join(t, router, "in", "10.0.0.1/24", device, "eth", hidden+"/24")
	router.sh(t, "echo 1 >/proc/sys/net/ipv4/ip_forward && ip route add default via "+near)
	device.sh(t, "ip route add default via 10.0.0.1")
	masquerade(t, router)
	return device
}

// masquerade makes a router translate addresses, as nftables does it.
func masquerade(t *testing.T, router *namespace) {
	t.Helper()
	cmd := router.command(peerProgram(t, "nftables", "usr/sbin/nft"), "-f", "-")
	cmd.Stdin = strings.NewReader(`
table ip nat {
	chain postrouting {
		type nat hook postrouting priority srcnat
		oifname "out" masquerade
	}
}
table ip filter {
	chain forward {
		type filter hook forward priority filter; policy drop
		ct state established,related accept
		iifname "in" accept
	}
}
`)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("nft: %v: %s", err, out)
	}
}

// peerProgram finds a program that is installed, or that "make peers" has unpacked from a package.
func peerProgram(t *testing.T, pkg, path string) string {
	t.Helper()
	for _, program := range []string{filepath.Join(os.Getenv("JACKFIELD_PEERS"), pkg, path), filepath.Join("/", path)} {
		if info, err := os.Stat(program); err == nil && info.Mode().IsRegular() && filepath.IsAbs(program) {
			return program
		}
	}
	live.Missing(t, filepath.Base(path), "run make peers and set JACKFIELD_PEERS to .cache/peers")
	return ""
}
