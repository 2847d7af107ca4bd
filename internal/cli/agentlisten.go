package cli

import (
	"crypto/tls"
	"fmt"
	"net"
	"os"
	"strings"

	"jackfield/internal/agentd"
	"jackfield/internal/agentd/membership"
	"jackfield/internal/config"
	"jackfield/internal/link/control"
	"jackfield/wire/inedo"
)

// needsNone says whether an inbound agent has no use for a membership; nil: it is an outbound one.
func needsNone(l *config.AgentListen) bool {
	return l != nil && (l.Encryption != "ssl" || l.CertificateFile != "")
}

// listenForServers runs an inbound agent. The membership is nil where it needs none.
func listenForServers(signals *signals, l *config.AgentListen, member *membership.Membership, a *agentd.Agent) error {
	how, err := listening(l, member)
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", l.Address)
	if err != nil {
		return err
	}
	a.Log.Info("listening", "listener", "agent", "address", listener.Addr().String(), "encryption", l.Encryption)
	return a.Listen(signals.stop, listener, how, signals.cutNow)
}

// listening is how servers may come.
func listening(l *config.AgentListen, member *membership.Membership) (how agentd.Listening, err error) {
	how.Allowed, how.MaxHandshakes = l.AllowedAddresses, l.MaxHandshakes
	how.Protocol.MinProtocol, how.Protocol.MaxData, how.Protocol.Timeout = inedo.V2, control.MaxData, l.HandshakeTimeout
	text, err := os.ReadFile(l.KeyFile)
	if err != nil {
		return how, err
	}
	if how.Key, err = control.ParseKey(string(text)); err != nil {
		return how, fmt.Errorf("%s: %w", l.KeyFile, err)
	}
	switch l.Encryption {
	case "ssl":
		how.Protocol.Mode = inedo.ModeSSL
		how.Protocol.TLS, err = listeningTLS(l, member)
	case "aes":
		how.Protocol.Mode = inedo.ModeAES
		if text, err = os.ReadFile(l.AESKeyFile); err != nil {
			return how, err
		}
		if how.Protocol.Key, err = inedo.ParseKey(strings.TrimSpace(string(text))); err != nil {
			err = fmt.Errorf("%s: %w", l.AESKeyFile, err)
		}
	}
	return how, err
}

func listeningTLS(l *config.AgentListen, member *membership.Membership) (*tls.Config, error) {
	c := &tls.Config{MinVersion: tls.VersionTLS12}
	if l.CertificateFile == "" {
		c.GetCertificate = func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return member.Certificate(), nil }
		return c, nil
	}
	pair, err := tls.LoadX509KeyPair(l.CertificateFile, l.CertificateKeyFile)
	c.Certificates = []tls.Certificate{pair}
	return c, err
}
