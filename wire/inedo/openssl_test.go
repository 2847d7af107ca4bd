//go:build unix

package inedo

import (
	"bytes"
	"crypto/x509"
	"encoding/binary"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"jackfield/test/live"
)

// openSSL is the independent peer: it encrypts, decrypts, and is either end of TLS.
func openSSL(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	if _, err := exec.LookPath("openssl"); err != nil {
		live.Missing(t, "openssl", "install Debian's openssl")
	}
	return exec.CommandContext(t.Context(), "openssl", args...)
}

// enc is openssl enc, without a salt and with its own padding.
func enc(t *testing.T, in []byte, key, iv []byte, more ...string) []byte {
	t.Helper()
	args := []string{"enc", fmt.Sprintf("-aes-%d-cbc", 8*len(key)), "-K", hex.EncodeToString(key), "-iv", hex.EncodeToString(iv)}
	cmd := openSSL(t, append(args, more...)...)
	cmd.Stdin = bytes.NewReader(in)
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v", cmd, err)
	}
	return out
}

var encrypted = []Message{
	{Type: Otter, Command: 3, Data: []byte{1}},
	{Type: Meta, Command: -2},
	{Type: Hedgehog, Command: 0x4A460000, Data: bytes.Repeat([]byte("0123456789"), 100)},
}

func TestOpenSSLEncrypts(t *testing.T) {
	for _, size := range []int{16, 32} {
		for _, protocol := range []Protocol{V1, V2} {
			t.Run(fmt.Sprintf("AES-%d, %d", 8*size, protocol), func(t *testing.T) {
				said := [][]byte{unhex(map[Protocol]string{V1: requestV1, V2: requestV2}[protocol])}
				iv := goldenIV.reply
				for i, m := range encrypted {
					next := count(byte(0x50+i), ivSize)
					wire := enc(t, plaintext(next, m, protocol == V1), count(0, size), iv)
					said = append(said, length(int32(len(wire))), wire)
					iv = next
				}
				o := Options{Mode: ModeAES, Key: aKey(size), random: bytes.NewReader(goldenIV.reply)}
				c, err := Accept(t.Context(), scripted(said...), AgentConfig{Options: o})
				if err != nil {
					t.Fatal(err)
				}
				for _, m := range encrypted {
					if protocol == V2 {
						m.Type = 0
					}
					expect(t, c, m)
				}
			})
		}
	}
}

func plaintext(next []byte, m Message, typed bool) []byte {
	plain := slices.Clone(next)
	if typed {
		plain = append(plain, byte(m.Type))
	}
	return append(binary.LittleEndian.AppendUint32(plain, uint32(m.Command)), m.Data...)
}

func TestOpenSSLDecrypts(t *testing.T) {
	for _, size := range []int{16, 32} {
		for _, protocol := range []Protocol{V1, V2} {
			t.Run(fmt.Sprintf("AES-%d, %d", 8*size, protocol), func(t *testing.T) {
				reply := map[Protocol]string{V1: replyV1[ModeAES], V2: replyOf(ModeAES)}[protocol]
				conn := scripted(unhex(reply))
				o := Options{Mode: ModeAES, Key: aKey(size), MaxProtocol: protocol}
				c, err := Handshake(t.Context(), conn, ClientConfig{Options: o})
				if err != nil {
					t.Fatal(err)
				}
				send(t, c, encrypted)
				wire := conn.out.Bytes()[requestSize:]
				iv := goldenIV.reply
				for _, m := range encrypted {
					n := lengthSize + int(binary.LittleEndian.Uint32(wire))
					plain := enc(t, wire[lengthSize:n], count(0, size), iv, "-d")
					wire, iv = wire[n:], plain[:ivSize]
					if want := plaintext(iv, m, protocol == V1); !bytes.Equal(plain, want) {
						t.Errorf("%x, wanted %x", plain, want)
					}
				}
				if len(wire) > 0 {
					t.Errorf("%d bytes are left", len(wire))
				}
			})
		}
	}
}

var tlsVersions = []string{"-tls1_2", "-tls1_3"}

// The agent is openssl s_server, behind a shim that does the clear handshake.
func TestOpenSSLServer(t *testing.T) {
	for _, version := range tlsVersions {
		for _, width := range []Width{WidthWide, WidthNarrow} {
			t.Run(fmt.Sprintf("%s, width %d", version, width), func(t *testing.T) {
				dir := t.TempDir()
				socket := filepath.Join(dir, "socket")
				certFile, keyFile := writeCertificate(t, dir)
				cmd := openSSL(t, "s_server", "-unix", filepath.Base(socket), "-cert", certFile, "-key", keyFile, "-quiet", version)
				cmd.Dir = dir // it takes short paths only
				server := start(t, cmd)
				near, far := tcp(t)
				var shim sync.WaitGroup
				defer shim.Wait()
				defer far.Close()
				shim.Go(func() { shimAgent(t, far, socket, width) })
				c, err := Handshake(t.Context(), near, ClientConfig{Options: ssl(clientTLS(t))})
				if err != nil || c.Reply().Width != width {
					t.Fatalf("%+v, %v", c, err)
				}
				if err := c.Send(3, []byte{1}); err != nil {
					t.Fatal(err)
				}
				server.hear(t, unhex(goldenTalk[0].client[0]))
				server.say(t, unhex(goldenTalk[0].agent))
				expect(t, c, Message{Command: 3, Data: unhex(goldenTalk[0].agent)[8:]})
			})
		}
	}
}

// shimAgent takes a request, replies, and then passes bytes on to a socket.
func shimAgent(t *testing.T, client net.Conn, socket string, width Width) {
	got := make([]byte, requestSize)
	if _, err := io.ReadFull(client, got); err != nil || !bytes.Equal(got, unhex(requestV2)) {
		t.Errorf("requested %x, %v", got, err)
		return
	}
	client.Write(Reply{Mode: ModeSSL, Slot: 2000, Version: Version{Major: 51}, Width: width}.marshal())
	agent, err := dial(socket)
	if err != nil {
		t.Error(err)
		return
	}
	join(client, agent)
}

// The client is openssl s_client, behind a shim that does the clear handshake.
func TestOpenSSLClient(t *testing.T) {
	for _, version := range tlsVersions {
		t.Run(version, func(t *testing.T) {
			dir := t.TempDir()
			socket := filepath.Join(dir, "socket")
			certFile, _ := writeCertificate(t, dir)
			listener, err := net.Listen("unix", socket)
			if err != nil {
				t.Fatal(err)
			}
			defer listener.Close()
			near, far := tcp(t)
			var shim sync.WaitGroup
			defer shim.Wait()
			defer far.Close()
			shim.Go(func() { shimClient(t, listener, near) })
			cmd := openSSL(t, "s_client", "-unix", filepath.Base(socket), "-CAfile", certFile, "-verify_return_error",
				"-verify_hostname", agentName, "-quiet", version)
			cmd.Dir = dir
			client := start(t, cmd)
			c, err := Accept(t.Context(), far, AgentConfig{Options: ssl(agentTLS(t))})
			if err != nil {
				t.Fatal(err)
			}
			client.say(t, unhex(goldenTalk[0].client[0]))
			expect(t, c, Message{Command: 3, Data: []byte{1}})
			if err := c.Send(3, unhex(goldenTalk[0].agent)[8:]); err != nil {
				t.Fatal(err)
			}
			client.hear(t, unhex(goldenTalk[0].agent))
		})
	}
}

// shimClient sends a request, takes the reply, and then passes on what a socket's client says.
func shimClient(t *testing.T, listener net.Listener, agent net.Conn) {
	client, err := listener.Accept()
	if err != nil {
		t.Error(err)
		return
	}
	agent.Write(unhex(requestV2))
	want := unhex(replyOf(ModeSSL))
	got := make([]byte, len(want))
	if _, err := io.ReadFull(agent, got); err != nil || !bytes.Equal(got, want) {
		t.Errorf("replied %x, %v", got, err)
	}
	join(agent, client)
}

// join passes bytes both ways until one end has ended.
func join(a, b net.Conn) {
	var copying sync.WaitGroup
	defer copying.Wait()
	for _, way := range [][2]net.Conn{{a, b}, {b, a}} {
		copying.Go(func() {
			io.Copy(way[0], way[1])
			a.Close()
			b.Close()
		})
	}
}

// dial waits until somebody listens.
func dial(socket string) (net.Conn, error) {
	for deadline := time.Now().Add(live.Patience); ; {
		conn, err := net.Dial("unix", socket)
		if err == nil || time.Now().After(deadline) {
			return conn, err
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func writeCertificate(t *testing.T, dir string) (certFile, keyFile string) {
	t.Helper()
	cert, err := certificate()
	if err != nil {
		t.Fatal(err)
	}
	key, err := x509.MarshalPKCS8PrivateKey(cert.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	write := func(name, kind string, der []byte) string {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	return write("cert.pem", "CERTIFICATE", cert.Certificate[0]), write("key.pem", "PRIVATE KEY", key)
}

// A program is one that says what it reads from its TLS peer, and sends what it is told.
type program struct {
	in     io.WriteCloser
	out    io.ReadCloser
	errors *strings.Builder // complete when the program has ended
}

// start starts a program, which is killed at the end of the test.
func start(t *testing.T, cmd *exec.Cmd) *program {
	t.Helper()
	p := &program{errors: new(strings.Builder)}
	cmd.Stderr = p.errors
	var err error
	if p.in, err = cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if p.out, err = cmd.StdoutPipe(); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
		if t.Failed() {
			t.Logf("%s:\n%s", cmd, p.errors)
		}
	})
	return p
}

func (p *program) say(t *testing.T, b []byte) {
	t.Helper()
	if _, err := p.in.Write(b); err != nil {
		t.Fatal(err)
	}
}

func (p *program) hear(t *testing.T, want []byte) {
	t.Helper()
	got := make([]byte, len(want))
	if n, err := io.ReadFull(p.out, got); err != nil || !bytes.Equal(got, want) {
		t.Fatalf("heard %x, %v; wanted %x", got[:n], err, want)
	}
}
