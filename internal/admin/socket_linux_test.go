package admin

import (
	"net"
	"os"
	"syscall"
	"testing"
)

// The umask is the most generous one, and nothing between bind and stat could repair the mode: listenPrivate does no more
// than bind and listen.
func TestSocketIsPrivateFromTheFirstMoment(t *testing.T) {
	before := syscall.Umask(0)
	defer syscall.Umask(before)
	path := shortPath(t)
	listener, err := listenPrivate(path)
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	info, err := os.Lstat(path)
	if err != nil {
		t.Fatal(err)
	}
	if got := info.Mode(); got != os.ModeSocket|0o600 {
		t.Errorf("mode %v", got)
	}
}

func TestPeerCredentialsAreRead(t *testing.T) {
	path := shortPath(t)
	listener, err := listenPrivate(path)
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	client, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	conn, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	if err := checkPeer(conn); err != nil {
		t.Errorf("our own connection: %v", err)
	}
	conn.Close()
	if err := checkPeer(conn); err == nil {
		t.Error("without credentials, a connection is let through")
	}
}
