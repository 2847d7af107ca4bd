package e2e

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"io"
	"math/big"
	"net"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"jackfield/test/live"
	"jackfield/wire/mihini"
)

// tlsFieldConfig has devices that come with TLS, and one that does not.
const tlsFieldConfig = `
data_dir = "data"
listener "mux" {
  protocol = "tcpmux"
  listen   = "127.0.0.1:0"
}
listener "field" {
  protocol = "mihini"
  listen   = "127.0.0.1:0"
  tls      = true
}
listener "old" {
  protocol = "mihini"
  listen   = "127.0.0.1:0"
}
device "meter" {
  listeners   = ["field"]
  close_delay = "0s"
}
device "probe" {
  listeners = ["field"]
}
device "elder" {
  listeners = ["old"]
}
service "echo" {
  listeners = ["mux"]
  device    = "meter"
  address   = env("echo")
}
`

// A tlsField is a server of tlsFieldConfig whose meter is connected.
type tlsField struct {
	*office
	server      string // for devices
	meterSerial string
}

func newTLSField(t *testing.T) *tlsField {
	t.Helper()
	o := newOffice(t, tlsFieldConfig)
	_, port, _ := net.SplitHostPort(o.Addresses["field"])
	f := &tlsField{office: o, server: net.JoinHostPort("localhost", port)}
	_, f.meterSerial = o.certificate(t, "device", "meter", "meter")
	f.device(t, "meter")
	awaitLog(t, o.Server, live.Equal("msg", "device connected"), live.Equal("device", "meter"), live.Equal("listener", "field"))
	return f
}

// device runs "jackfield mihini device" with the certificate in a directory.
func (f *tlsField) device(t *testing.T, directory string) *live.Process {
	t.Helper()
	at := func(name string) string { return filepath.Join(f.dir, directory, name) }
	return startDevice(t, f.server, "--ca", at("ca.pem"), "--certificate", at("certificate.pem"), "--key", at("key.pem"))
}

// TestDeviceWithTLS: a service is reached through a device that is known by its certificate, and no more once that is revoked.
func TestDeviceWithTLS(t *testing.T) {
	t.Parallel()
	f := newTLSField(t)
	c := open(t, f.Server, "mux")
	say(t, c, "echo\r\n")
	expect(t, c, "+\r\n")
	at := make(chan struct{})
	close(at)                                                   // it waits for nothing
	if err := transfer(c, 1, []chan struct{}{at}); err != nil { // 1 MiB each way
		t.Error(err)
	}
	f.expectRecords(t, 1, live.Equal("event", "open"), live.Equal("route", "link meter"), live.Equal("proof", "certificate"))

	running := f.session(t)
	said := make(chan string, 1)
	go func() {
		text, err := io.ReadAll(running)
		said <- string(text) + " " + errorText(err)
	}()
	f.cli(t, "", "certificate", "revoke", f.meterSerial)
	done := time.Now()
	awaitLog(t, f.Server, live.Equal("msg", "device gone"), live.Equal("device", "meter"))
	expectPromptly(t, "the link is cut", time.Now(), done, revocationLimit)
	if ended := <-said; !strings.Contains(ended, "reset") {
		t.Errorf("the session through the link ended with %q", ended)
	}
	expectPromptly(t, "the session through it is cut", time.Now(), done, revocationLimit)
	f.expectRecords(t, 1, live.Equal("event", "close"), live.Equal("route", "link meter"), live.Match("end", regexp.MustCompile("revoked")))
	f.expectRecords(t, 1, live.Equal("path", "/api/v1/certificates/{serial}"), live.Equal("target", "certificate "+f.meterSerial))

	// It dials again, and is refused.
	awaitLog(t, f.Server, live.Equal("listener", "field"), live.Match("reason", regexp.MustCompile("is revoked")))
	if n := len(live.Select(f.Output(), live.Equal("msg", "device connected"), live.Equal("device", "meter"))); n != 1 {
		t.Errorf("the device has connected %d times", n)
	}
}

func errorText(err error) string {
	if err == nil {
		return "FIN"
	}
	return err.Error()
}

// TestDeviceRefusedWithTLS: who has no certificate of a device that may come, is refused with one line in log and audit, and
// nobody else notices.
func TestDeviceRefusedWithTLS(t *testing.T) {
	t.Parallel()
	f := newTLSField(t)
	stranger, _ := f.certificate(t, "device", "stranger", "stranger")
	elder, _ := f.certificate(t, "device", "elder", "elder")
	f.cli(t, "", "user", "add", "ada", "--no-password")
	ada, _ := f.certificate(t, "user", "ada", "ada")
	revoked, serial := f.certificate(t, "device", "probe", "revoked")
	f.cli(t, "", "certificate", "revoke", serial)
	for _, test := range []struct {
		name    string
		conn    func(*testing.T) io.ReadWriter
		details string
	}{
		{"a device that is not configured", f.tls(stranger), `"stranger", which may not come`},
		{"a device of another listener", f.tls(elder), `"elder", which may not come`},
		{"a user", f.tls(ada), "not one of a device"},
		{"a revoked certificate", f.tls(revoked), "revoked"},
		{"another authority", f.tls(selfSigned(t)), "unknown authority"},
		{"no certificate", f.tls(), "certificate"},
		{"clear text", func(t *testing.T) io.ReadWriter { return open(t, f.Server, "field") }, "TLS"},
	} {
		t.Run(test.name, func(t *testing.T) {
			refused := []live.Test{live.Equal("listener", "field"), live.Equal("event", "refuse")}
			before := len(auditLines(t, f.dir, refused...))
			conn := test.conn(t)
			// Twice, because clear text of 4 bytes could be the beginning of TLS. It may be refused already.
			conn.Write(slices.Concat(frame(mihini.Listen, 0, ""), frame(mihini.Listen, 0, "")))
			if text, err := io.ReadAll(conn); err == nil && len(text) > 0 {
				t.Errorf("the server answered with %q", text)
			}
			if !eventually(func() bool { return len(auditLines(t, f.dir, refused...)) > before }) {
				t.Fatal("the audit has no line of it")
			}
			lines := auditLines(t, f.dir, refused...)
			if len(lines) != before+1 || !live.Match("details", regexp.MustCompile(regexp.QuoteMeta(test.details)))(lines[before]) {
				t.Errorf("the audit has %v, not one line with %q", lines[before:], test.details)
			}
			id := lines[before]["id"].(string)
			awaitLog(t, f.Server, live.Equal("id", id))
			if logged := live.Select(f.Output(), live.Equal("id", id)); len(logged) != 1 {
				t.Errorf("the log has %v", logged)
			}
			if err := exchange(f.Addresses["mux"], "echo\r\nhello", "+\r\nhello"); err != nil {
				t.Errorf("others are disturbed: %v", err)
			}
		})
	}
	if n := len(live.Select(f.Output(), live.Equal("msg", "device gone"))); n != 0 {
		t.Errorf("%d devices have gone", n)
	}
}

// tls returns what connects with a certificate, or without one.
func (f *tlsField) tls(certificates ...tls.Certificate) func(*testing.T) io.ReadWriter {
	return func(t *testing.T) io.ReadWriter {
		t.Helper()
		c := open(t, f.Server, "field")
		return tls.Client(c, &tls.Config{RootCAs: f.roots, ServerName: "localhost", GetClientCertificate: func(
			*tls.CertificateRequestInfo,
		) (*tls.Certificate, error) {
			if len(certificates) == 0 {
				return new(tls.Certificate), nil
			}
			return &certificates[0], nil // whatever authorities the server names
		}})
	}
}

// selfSigned returns a certificate that looks like one of the meter, but is nobody's.
func selfSigned(t *testing.T) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(7), Subject: pkix.Name{CommonName: "meter"}, NotAfter: time.Now().Add(time.Hour),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	signed, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{signed}, PrivateKey: key}
}

// TestDeviceOfOpenSSL: a device whose TLS is OpenSSL's sends LISTEN and is connected.
func TestDeviceOfOpenSSL(t *testing.T) {
	t.Parallel()
	openssl, err := exec.LookPath("openssl")
	if err != nil {
		live.Missing(t, "openssl", "apt-get install openssl")
	}
	f := newTLSField(t)
	f.certificate(t, "device", "probe", "probe")
	cmd := exec.Command(openssl, "s_client", "-quiet", "-connect", f.Addresses["field"], "-servername", "localhost", "-verify_return_error",
		"-CAfile", "ca.pem", "-cert", "certificate.pem", "-key", "key.pem")
	cmd.Dir = filepath.Join(f.dir, "probe")
	input, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	p, err := live.Start(cmd)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Stop(syscall.SIGTERM) })
	if _, err := input.Write([]byte{0, 0, 4, 0}); err != nil { // LISTEN
		t.Fatal(err)
	}
	awaitLog(t, f.Server, live.Equal("msg", "device connected"), live.Equal("device", "probe"))
	devices := f.cli(t, "", "devices")
	if !regexp.MustCompile(`(?m)^probe +connected +\S+ +field `).MatchString(devices) {
		t.Errorf("the devices are\n%s", devices)
	}
	if err := p.Stop(syscall.SIGTERM); err == nil {
		t.Error("openssl has ended before")
	}
	awaitLog(t, f.Server, live.Equal("msg", "device gone"), live.Equal("device", "probe"))
}
