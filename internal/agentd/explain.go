package agentd

import (
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"
)

// explain puts an error of connecting into a sentence that says what to do, if there is one.
func (a *Agent) explain(err error) error {
	var invalid x509.CertificateInvalidError
	var unknown x509.UnknownAuthorityError
	switch alert := alertOf(err); {
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		const form = "2006-01-02 15:04 MST"
		return fmt.Errorf("this machine's clock says %s, and the server's certificate is good from %s to %s: set the clock, or have the server renew its certificate",
			time.Now().UTC().Format(form), invalid.Cert.NotBefore.UTC().Format(form), invalid.Cert.NotAfter.UTC().Format(form))
	case errors.As(err, &unknown):
		return errors.New("the server's certificate is not of the authority that this agent was enrolled with: is it another server? If its authority was replaced, enrol the agent again")
	case strings.Contains(alert, "certificate"):
		return a.explainRefusal(alert, err)
	case strings.Contains(alert, "no application protocol"):
		return errors.New("the server takes no agents at this port")
	}
	return err
}

// explainRefusal says why the server may have refused the agent's certificate.
func (a *Agent) explainRefusal(alert string, err error) error {
	if a.Renewal != nil {
		if void := a.Renewal.Check(time.Now()); void != nil {
			return void
		}
	}
	if strings.Contains(alert, "expired") {
		return fmt.Errorf("by the server's clock this agent's certificate is not good, or not any more, and by this machine's clock it is: set the one that is wrong (%w)", err)
	}
	return fmt.Errorf("the server does not accept this agent's certificate: it was removed or revoked; enrol the agent again (%w)", err)
}

// alertOf returns the text of the alert by which the other end has ended a TLS connection, empty if it has not. The type of alerts is
// not exported.
func alertOf(err error) string {
	if op, ok := errors.AsType[*net.OpError](err); ok && op.Op == "remote error" {
		return op.Err.Error()
	}
	return ""
}
