package authority

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"jackfield/test/live"
)

// An opensslDir is where the openssl command works.
type opensslDir string

func newOpenSSL(t *testing.T) opensslDir {
	if _, err := exec.LookPath("openssl"); err != nil {
		live.Missing(t, "openssl command", "apt-get install openssl")
	}
	return opensslDir(t.TempDir())
}

func (d opensslDir) file(name string) string { return filepath.Join(string(d), name) }

// run returns what the command says, and whether it succeeded.
func (d opensslDir) run(t *testing.T, args ...string) (string, bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "openssl", args...)
	cmd.Dir = string(d)
	out, err := cmd.CombinedOutput()
	return string(out), err == nil
}

func (d opensslDir) mustRun(t *testing.T, args ...string) string {
	t.Helper()
	out, good := d.run(t, args...)
	if !good {
		t.Fatalf("openssl %s: %s", strings.Join(args, " "), out)
	}
	return out
}

// serve answers every client with who it is and whether its session was resumed, and ends the connection.
func serve(t *testing.T, config *tls.Config) (address string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			answer(tls.Server(conn, config))
		}
	})
	t.Cleanup(func() {
		listener.Close()
		wg.Wait()
	})
	return listener.Addr().String()
}

func answer(conn *tls.Conn) {
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(time.Minute))
	if conn.Handshake() != nil {
		return
	}
	state := conn.ConnectionState()
	who := "nobody"
	if len(state.PeerCertificates) > 0 {
		s, _, err := ParsePeer(state.PeerCertificates[0])
		who = fmt.Sprint(s, err)
	}
	fmt.Fprintf(conn, "hello %s, resumed: %v, protocol: %q\n", who, state.DidResume, state.NegotiatedProtocol)
}

func TestOpenSSLVerifiesThroughRotation(t *testing.T) {
	d, a := newOpenSSL(t), open(t, newDir(t))
	address := serve(t, listen(t, a, Listener{TLS12: true}))
	write(t, d.file("old.pem"), a.Bundle())
	check := func(trust, name, version string, want bool) {
		t.Helper()
		out, good := d.run(t, "s_client", "-connect", address, "-servername", name, "-verify_hostname", name, "-CAfile", trust,
			"-no-CApath", "-verify_return_error", "-ign_eof", version)
		if good != want || want != strings.Contains(out, "hello nobody") {
			t.Errorf("%s, %s, %s: %v, want %v: %s", trust, name, version, good, want, out)
		}
	}
	check("old.pem", serverName, "-tls1_3", true)
	check("old.pem", "localhost", "-tls1_2", true)
	check("old.pem", "other.test", "-tls1_3", false)

	s := mustRotate(t, a)
	write(t, d.file("new.pem"), certificatePEM(s.root))
	write(t, d.file("both.pem"), a.Bundle())
	for _, trust := range []string{"old.pem", "new.pem", "both.pem"} {
		check(trust, serverName, "-tls1_3", true)
		check(trust, serverName, "-tls1_2", true)
	}
	write(t, d.file("leaf.pem"), certificatePEM(issue(t, a, serverName).now().Leaf))
	write(t, d.file("cross.pem"), certificatePEM(s.cross))
	d.mustRun(t, "verify", "-x509_strict", "-purpose", "sslserver", "-CAfile", "new.pem", "-no-CApath", "leaf.pem")
	d.mustRun(t, "verify", "-x509_strict", "-purpose", "sslserver", "-CAfile", "old.pem", "-no-CApath",
		"-untrusted", "cross.pem", "leaf.pem")
	if out, good := d.run(t, "verify", "-CAfile", "old.pem", "-no-CApath", "leaf.pem"); good {
		t.Errorf("verified without the certificate between: %s", out)
	}

	if err := a.RetireOld(); err != nil {
		t.Fatal(err)
	}
	check("old.pem", serverName, "-tls1_3", false)
	check("new.pem", serverName, "-tls1_3", true)
	check("both.pem", serverName, "-tls1_3", true)
}

func TestOpenSSLClientCertificates(t *testing.T) {
	d := newOpenSSL(t)
	var mu sync.Mutex
	revoked := make(map[string]bool)
	a := open(t, newDir(t), func(o *Options) {
		o.Revoked = func(_ Subject, serial string) bool {
			mu.Lock()
			defer mu.Unlock()
			return revoked[serial]
		}
	})
	address := serve(t, listen(t, a, Listener{Protocols: native}))
	write(t, d.file("ca.pem"), a.Bundle())
	connect := func(args ...string) string {
		t.Helper()
		out, _ := d.run(t, append([]string{"s_client", "-connect", address, "-servername", serverName, "-CAfile", "ca.pem",
			"-verify_return_error", "-ign_eof", "-alpn"}, args...)...)
		return out
	}
	want := func(out, what string) {
		t.Helper()
		if !strings.Contains(out, what) {
			t.Errorf("want %q: %s", what, out)
		}
	}
	for name, key := range map[string][]string{
		"p256": {"EC", "-pkeyopt", "ec_paramgen_curve:P-256"}, "p384": {"EC", "-pkeyopt", "ec_paramgen_curve:P-384"},
		"ed25519": {"ED25519"}, "rsa": {"RSA", "-pkeyopt", "rsa_keygen_bits:2048"},
	} {
		d.mustRun(t, append([]string{"genpkey", "-out", name + ".key", "-algorithm"}, key...)...)
		d.mustRun(t, "req", "-new", "-key", name+".key", "-subj", "/CN=root",
			"-addext", "subjectAltName=DNS:root.test", "-out", name+".csr")
		signed, err := a.Sign(read(t, d.file(name+".csr")), Subject{Agent, "edge-" + name}, time.Hour)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		write(t, d.file(name+".crt"), signed.PEM)
		d.mustRun(t, "verify", "-x509_strict", "-purpose", "sslclient", "-CAfile", "ca.pem", name+".crt")
		if out, good := d.run(t, "verify", "-purpose", "sslserver", "-CAfile", "ca.pem", name+".crt"); good {
			t.Errorf("%s: it can be a server's: %s", name, out)
		}
		want(d.mustRun(t, "x509", "-in", name+".crt", "-noout", "-ext", "subjectAltName"), "URI:jackfield:agent:edge-"+name)
		show := []string{"-cert", name + ".crt", "-key", name + ".key"}
		session := append(show, "-sess_out", name+".session")
		want(connect(append([]string{"jackfield-agent/1"}, session...)...), "hello agent edge-"+name+" <nil>, resumed: false")
		resume := []string{"jackfield-agent/1", "-sess_in", name + ".session"}
		want(connect(resume...), "hello agent edge-"+name+" <nil>, resumed: true")
		mu.Lock()
		revoked[signed.Serial] = true
		mu.Unlock()
		for _, out := range []string{connect(resume...), connect(append([]string{"jackfield-agent/1"}, show...)...)} {
			want(out, "alert bad certificate")
			if strings.Contains(out, "hello") {
				t.Errorf("%s: a revoked certificate was accepted: %s", name, out)
			}
		}
	}
	want(connect("jackfield-agent/1"), "alert certificate required")
	want(connect("h2,jackfield-agent/1"), `hello nobody, resumed: false, protocol: "h2"`)
	want(connect("nothing/1"), "no application protocol")
}

func TestOwnCertificateOfOpenSSL(t *testing.T) {
	d, a := newOpenSSL(t), open(t, newDir(t))
	d.mustRun(t, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-384", "-noenc", "-keyout", "own.key",
		"-out", "own.crt", "-days", "2", "-subj", "/CN=x", "-addext", "subjectAltName=DNS:"+serverName)
	own, err := a.OwnCertificate(d.file("own.crt"), d.file("own.key"))
	if err != nil {
		t.Fatal(err)
	}
	m := meet(listen(t, a, Listener{Certificates: []Certificate{own}}), trusting(t, read(t, d.file("own.crt"))))
	m.mustSucceed(t)

	d.mustRun(t, "pkcs8", "-topk8", "-in", "own.key", "-out", "locked.key", "-passout", "pass:secret")
	_, err = a.OwnCertificate(d.file("own.crt"), d.file("locked.key"))
	if err == nil || !strings.Contains(err.Error(), "without a password") {
		t.Errorf("a key with a password: got %v", err)
	}
	if !bytes.Contains(read(t, d.file("locked.key")), []byte("ENCRYPTED")) {
		t.Error("the key has no password")
	}
}
