package server

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"net/netip"

	"jackfield"
	"jackfield/internal/api"
	"jackfield/internal/authority"
	"jackfield/internal/config"
	"jackfield/internal/gateway"
	"jackfield/internal/identity"
	"jackfield/internal/listen"
	"jackfield/internal/listen/https"
)

// webHandler makes the handler of a listener of protocol "https" or "http". It is closed when the generation retires.
func (g *generation) webHandler(l *config.Listener, listener *gateway.Listener) listen.Handler {
	o := https.Options{
		Gateway:  g.gateway,
		Listener: listener,
		Names:    l.Names,
		Places:   g.placesOf(l.Name),
		Limits:   https.Limits{Connections: l.MaxConnections, PerSource: l.MaxConnectionsPerSource},
		Observer: g.observer,
		NewID:    g.gateway.Sessions.NewID,
		Log:      g.log,
	}
	if l.Protocol == "https" {
		o.ALPN = g.agentProtocols(l, listener)
		config, err := g.tls(l, authority.ClientCertificates(l.ClientCertificates), https.Protocols(o.ALPN))
		if err != nil {
			g.fail(fmt.Errorf("%s: listener %q: %w", l.Where, l.Name, err))
		}
		o.TLS = config
	}
	if g.state != nil {
		o.HTTP = g.apiHandler(l, listener)
		connector := &https.Connector{Gateway: g.gateway, Listener: listener, Callers: callers{g.state}}
		o.Connect = connector
		if websites := g.websites(listener); len(websites) > 0 {
			o.Web = &https.WebProxy{Connector: connector, Services: websites}
		}
	}
	handler := https.New(o)
	g.web = append(g.web, handler)
	return handler
}

// websites are those services of a listener that it is a proxy for.
func (g *generation) websites(l *gateway.Listener) map[jackfield.Name]bool {
	websites := make(map[jackfield.Name]bool)
	for _, s := range g.config.Services {
		if s.Web && (l.Service(s.Name) != nil) {
			websites[s.Name] = true
		}
	}
	return websites
}

// placesOf counts the connections of a listener across generations.
func (b *builder) placesOf(listener string) *https.Places {
	b.placesMu.Lock()
	defer b.placesMu.Unlock()
	if b.places == nil {
		b.places = make(map[string]*https.Places)
	}
	if b.places[listener] == nil {
		b.places[listener] = new(https.Places)
	}
	return b.places[listener]
}

// tls makes what a listener needs for TLS: its own certificate or one of the authority. Without a state, which a check of the
// configuration has none of, it only looks at the files.
func (g *generation) tls(l *config.Listener, clients authority.ClientCertificates, protocols []string) (*tls.Config, error) {
	if g.state == nil {
		if l.CertificateFile == "" {
			return nil, nil
		}
		return nil, authority.CheckOwnCertificate(l.CertificateFile, l.KeyFile)
	}
	var certificate authority.Certificate
	var err error
	if l.CertificateFile != "" {
		certificate, err = g.state.authority.OwnCertificate(l.CertificateFile, l.KeyFile)
	} else {
		certificate, err = g.state.authority.ServerCertificate(l.Names...)
	}
	if err != nil {
		return nil, err
	}
	return g.state.authority.TLSConfig(authority.Listener{
		Certificates: []authority.Certificate{certificate},
		Clients:      clients,
		Protocols:    protocols,
		TLS12:        l.MinTLS == "1.2",
	})
}

// apiHandler is the API as a listener offers it. A call with a client certificate ends when that becomes void.
func (g *generation) apiHandler(l *config.Listener, listener *gateway.Listener) http.Handler {
	entrance := api.Entrance{
		Listener: l.Name,
		Protocol: l.Protocol,
		Admit: func(ctx context.Context, source, local netip.AddrPort, who jackfield.Identity) error {
			return g.gateway.MayCall(ctx, listener, source, local, who)
		},
	}
	if l.ClientCertificates == "optional" {
		entrance.Certificate = g.state.certificateOf
	}
	handler := g.api.Handler(entrance)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if c := peerCertificate(r); c != nil {
			ctx, release := g.state.whileInForce(r.Context(), c)
			defer release()
			r = r.WithContext(ctx)
		}
		handler.ServeHTTP(w, r)
	})
}

// peerCertificate returns the client's certificate, which the handshake has verified; nil without one.
func peerCertificate(r *http.Request) *x509.Certificate {
	if r.TLS == nil || len(r.TLS.VerifiedChains) == 0 {
		return nil
	}
	return r.TLS.PeerCertificates[0]
}

// certificateOf returns what the client's certificate says of a user.
func (s *state) certificateOf(r *http.Request) (identity.Certificate, bool) {
	c := peerCertificate(r)
	if c == nil {
		return identity.Certificate{}, false
	}
	return s.certificate(c)
}

// certificate returns what a certificate says of a user, and whether it is in force.
func (s *state) certificate(c *x509.Certificate) (identity.Certificate, bool) {
	_, serial, err := authority.ParsePeer(c)
	if err != nil {
		return identity.Certificate{}, false
	}
	entry, good := s.ledger.Get(serial)
	user, err := s.directory.User(entry.Name)
	good = good && err == nil && user.ID == entry.UserID // and not a later user of the same name
	return identity.Certificate{Kind: string(entry.Kind), Name: entry.Name, Issued: entry.Issued, Expires: c.NotAfter}, good
}

// whileInForce returns a context that ends when the certificate becomes void.
func (s *state) whileInForce(ctx context.Context, c *x509.Certificate) (context.Context, context.CancelFunc) {
	_, serial, err := authority.ParsePeer(c)
	if err != nil {
		serial = "" // one that the ledger does not know
	}
	return s.ledger.Context(ctx, serial)
}

var errNoDevice = errors.New("its certificate is not one of a device")

// deviceOf tells whose certificate a device has shown, as listen/mihini asks for it.
func (s *state) deviceOf(ctx context.Context, c *x509.Certificate) (string, context.Context, func(), error) {
	subject, _, err := authority.ParsePeer(c)
	if err != nil {
		return "", nil, nil, err
	}
	if subject.Kind != authority.Device {
		return "", nil, nil, errNoDevice
	}
	inForce, release := s.whileInForce(ctx, c)
	return subject.Name, inForce, release, nil
}
