package client

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"syscall"

	"jackfield/internal/api"
)

// explain makes a sentence of what keeps one from a server, where that says what to do; nil of other errors.
func (s *Server) explain(err error) error { return explain(s.login.URL, err) }

func explain(server string, err error) error {
	unknown, is := errors.AsType[*net.DNSError](err)
	if is && unknown.IsNotFound || errors.Is(err, syscall.ECONNREFUSED) {
		return fmt.Errorf("the server at %s did not answer: see whether it runs, and whether the address is right (%w)", server, err)
	}
	if errors.Is(err, api.ErrPlain) {
		return fmt.Errorf("%s is another machine, to which your token would go unencrypted: say %s (%w)", server,
			strings.Replace(server, "http:", "https:", 1), err)
	}
	return explainCertificate(server, err)
}

// explainCertificate is explain for what the certificate has against it.
func explainCertificate(server string, err error) error {
	if unknown, is := errors.AsType[x509.UnknownAuthorityError](err); is {
		return fmt.Errorf("%s shows a certificate that is not of the authority which is trusted for it: somebody may be in between."+
			" If its authority was replaced, ask its administrator for the new fingerprint, and say jackfield login %s --fingerprint"+
			" FINGERPRINT (%w)", server, server, unknown)
	}
	if wrong, is := errors.AsType[x509.HostnameError](err); is {
		return fmt.Errorf("the certificate of %s is for another name: use one of %s in the address, or have its administrator add"+
			" the name to the listener's names", server, namesOf(wrong.Certificate))
	}
	if invalid, is := errors.AsType[x509.CertificateInvalidError](err); is {
		if invalid.Reason == x509.Expired {
			return fmt.Errorf("the certificate of %s has expired or is not good yet: see whether your clock is right, and tell its"+
				" administrator (%w)", server, invalid)
		}
		return fmt.Errorf("the certificate of %s is not good: tell its administrator (%w)", server, invalid)
	}
	if _, is := errors.AsType[tls.RecordHeaderError](err); is {
		return fmt.Errorf("what listens on %s does not speak TLS: see whether the port is right", server)
	}
	return nil
}

// namesOf lists what a certificate is for, as far as that is short.
func namesOf(c *x509.Certificate) string {
	var names []string
	for _, name := range c.DNSNames {
		names = append(names, api.Visible(name))
	}
	for _, address := range c.IPAddresses {
		names = append(names, address.String())
	}
	const enough = 8
	if len(names) > enough {
		names = append(names[:enough], "…")
	}
	return strings.Join(names, ", ")
}

// unanswered makes a sentence of why a server did not answer.
func unanswered(server string, err error) error {
	if request, is := errors.AsType[*url.Error](err); is {
		err = request.Err
	}
	if explained := explain(server, err); explained != nil {
		return explained
	}
	return fmt.Errorf("the server at %s did not answer: %w", server, err)
}
