//go:build linux

package peer

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os/exec"
	"path/filepath"
	"strings"

	"jackfield/bench/process"
)

// JackfieldConnect is Jackfield, which has the service on an "https" listener by HTTP CONNECT as well.
type JackfieldConnect struct {
	Jackfield
	Certificate *Certificate
}

// Secured implements SecurePeer.
func (j JackfieldConnect) Secured() *Certificate { return j.Certificate }

// Command leaves everything at its default, the audit included.
func (j JackfieldConnect) Command(p Place) (process.Spec, error) {
	var files [2]string
	for k, text := range [][]byte{j.Certificate.certificate, j.Certificate.key} {
		var err error
		if files[k], err = p.writeSecret([]string{"certificate.pem", "key.pem"}[k], text); err != nil {
			return process.Spec{}, err
		}
	}
	spec, err := j.Jackfield.Command(p)
	if err != nil {
		return spec, err
	}
	return spec, p.append(configName, fmt.Sprintf(jackfieldConnectConfig, p.Secure, files[0], files[1], p.Service))
}

const jackfieldConnectConfig = `
listener "web" {
  protocol         = "https"
  listen           = %q
  certificate_file = %q
  key_file         = %q
}

service "connect" {
  listeners = ["web"]
  address   = %q
}
`

// Enter makes a token. A client sends it with CONNECT (RFC 9110, section 9.3.6), and waits for the answer.
func (j JackfieldConnect) Enter(ctx context.Context, p Place) (func(net.Conn) error, error) {
	ask := exec.CommandContext(ctx, j.Binary, "token", "add", "admin", "--scope", "connect",
		"--config", filepath.Join(p.Dir, configName))
	token, err := ask.Output()
	if err != nil {
		return nil, fmt.Errorf("ask jackfield for a token: %w", err)
	}
	request := "CONNECT connect:1 HTTP/1.1\r\nHost: connect:1\r\nProxy-Authorization: Bearer " +
		strings.TrimSpace(string(token)) + "\r\n\r\n"
	return func(c net.Conn) error { return connect(c, request) }, nil
}

// connect sends the request and takes the answer, behind which the service says nothing by itself.
func connect(c net.Conn, request string) error {
	if _, err := io.WriteString(c, request); err != nil {
		return err
	}
	buffer := make([]byte, longestAnswer)
	for n := 0; n < len(buffer); {
		m, err := c.Read(buffer[n:])
		if err != nil {
			return fmt.Errorf("answer to CONNECT: %w", err)
		}
		n += m
		if bytes.HasSuffix(buffer[:n], []byte("\r\n\r\n")) {
			if !bytes.HasPrefix(buffer, []byte("HTTP/1.1 200 ")) {
				return fmt.Errorf("%w: %q", ErrRefused, buffer[:n])
			}
			return nil
		}
	}
	return errors.New("the answer to CONNECT has no end")
}
