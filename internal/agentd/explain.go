package agentd

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"strings"
	"time"
)

// explain puts an error of connecting into a sentence that says what to do, if there is one.
func explain(err error, now time.Time) error {
	var invalid x509.CertificateInvalidError
	var unknown x509.UnknownAuthorityError
	var alert tls.AlertError
	const form = "2006-01-02 15:04 MST"
	switch {
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return fmt.Errorf("this machine's clock says %s, and the server's certificate is good from %s to %s: set the clock, or have the server renew its certificate",
			now.UTC().Format(form), invalid.Cert.NotBefore.UTC().Format(form), invalid.Cert.NotAfter.UTC().Format(form))
	case errors.As(err, &unknown):
		return errors.New("the server's certificate is not of the authority that this agent was enrolled with: is it another server? If its authority was replaced, enrol the agent again")
	case errors.As(err, &alert) && strings.Contains(alert.Error(), "certificate"):
		return fmt.Errorf("the server does not accept this agent's certificate: it was removed or revoked, or has expired; enrol the agent again (%w)", err)
	case errors.As(err, &alert) && strings.Contains(alert.Error(), "no application protocol"):
		return errors.New("the server takes no agents at this port")
	}
	return err
}
