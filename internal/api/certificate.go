package api

import (
	"cmp"
	"time"
)

func getAuthority(c *call) (any, error) { return c.server.Certificates.Authority(), nil }

func listCertificates(c *call) (any, error) {
	certificates, err := c.server.Certificates.Issued(c.ctx)
	if err != nil {
		return nil, err
	}
	part, next, err := paginate(c, certificates, func(d Certificate) string { return d.Serial })
	return CertificateList{part, next}, err
}

const (
	certificateLifetime    = 365 * 24 * time.Hour
	maxCertificateLifetime = 10 * certificateLifetime
)

func issueCertificate(c *call) (any, error) {
	r, err := decode[CertificateRequest](c)
	if err != nil {
		return nil, err
	}
	switch {
	case r.Kind != "user" && r.Kind != "device":
		return nil, invalid("a certificate is for a user or a device: kind says which")
	case r.Name == "":
		return nil, invalid("the name is missing")
	case r.Request == "":
		return nil, invalid("the request is missing: PKCS #10 in PEM")
	case time.Duration(r.Lifetime) > maxCertificateLifetime:
		return nil, invalid("a certificate is good for 10 years at most")
	}
	if r.Kind == "user" {
		if _, err := c.server.Directory.User(r.Name); err != nil {
			return nil, err
		}
	}
	lifetime := cmp.Or(time.Duration(r.Lifetime), certificateLifetime)
	issued, err := c.server.Certificates.Issue(c.ctx, []byte(r.Request), r.Kind, r.Name, lifetime)
	if err != nil {
		return nil, err
	}
	c.about("certificate", issued.Serial)
	c.server.Hub.Publish(Event{Type: CertificateIssued, Subject: issued.Serial, User: ownerOf(issued.Certificate)})
	return issued, nil
}

// ownerOf is the user whose certificate it is; empty for a device's.
func ownerOf(d Certificate) string {
	if d.Kind != "user" {
		return ""
	}
	return d.Name
}

func revokeCertificate(c *call) (any, error) {
	serial := c.r.PathValue("serial")
	revoked, err := c.server.Certificates.Revoke(c.ctx, serial)
	if err != nil {
		return nil, err
	}
	c.server.Hub.Publish(Event{Type: CertificateRevoked, Subject: serial, User: ownerOf(revoked)})
	return nil, nil
}

func retireAuthority(c *call) (any, error) {
	if err := c.server.Certificates.Retire(c.ctx); err != nil {
		return nil, err
	}
	authority := c.server.Certificates.Authority()
	c.about("authority", authority.Fingerprint)
	return authority, nil
}

func rotateAuthority(c *call) (any, error) {
	if err := c.server.Certificates.Rotate(c.ctx); err != nil {
		return nil, err
	}
	authority := c.server.Certificates.Authority()
	c.about("authority", authority.Fingerprint)
	c.server.Hub.Publish(Event{Type: AuthorityRotated, Subject: authority.Fingerprint})
	return authority, nil
}
