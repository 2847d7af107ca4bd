package https

import (
	"errors"
	"log/slog"
	"net/http"
	"net/http/httputil"
	"slices"
	"sync"

	"jackfield"
	"jackfield/internal/quiet"
)

// A WebProxy is the handler of requests in absolute-form (RFC 9112, section 3.2.2), as browsers and other clients send them to
// the proxy that they are told to use. The host names a service, which speaks HTTP/1.1:
//
//	GET http://grafana/d/7 HTTP/1.1
//	Proxy-Authorization: Bearer TOKEN
//
// Each request is a session of its own: it goes through the whole pipeline, with the credentials of CONNECT, and ends with its
// answer. The service gets a connection for it, which is not used again. Any port will do, for a name has none.
//
// Bodies, trailers and what follows an Upgrade (RFC 9110, section 7.8) pass as they come, either way, and no faster than they
// are taken. An answer that is cut short is broken off, never ended in order: by the end of the session as much as by the
// service.
//
// HTTP/2 has no absolute-form, and net/http does not tell the scheme of a request: there a request for a host that is not ours
// is one to the proxy.
type WebProxy struct {
	*Connector
	Services map[jackfield.Name]bool // those that are reached so; of others a client that may see them is told

	once  sync.Once
	quiet *quiet.Log // the log of what services do wrong
}

// ServeHTTP implements http.Handler.
func (p *WebProxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.admit(w, r, webTargetOf, func(v *admitted) {
		if err := p.pass(v, w, r); err != nil {
			v.Leave() // who is being told takes nobody's place
			refuseTunnel(w, r, err)
		}
	})
}

// pass takes a request through a session of its own. An error has yet to be told to the client.
func (p *WebProxy) pass(v *admitted, w http.ResponseWriter, r *http.Request) error {
	if !p.Services[v.name] && slices.Contains(v.Visible(), v.name) {
		const sentence = "this service is not offered as a website: reach it by CONNECT"
		return v.Refuse(jackfield.Refuse(jackfield.Invalid, sentence, errNoWebsite))
	}
	near, far := newPipe(r.Context())
	session, err := v.Open(string(v.name), near)
	if err != nil {
		return err
	}
	x := newExchange(v, w, r, far)
	x.run(session, httputil.ReverseProxy{ErrorLog: slog.NewLogLogger(p.Gateway.Log.Handler(), slog.LevelDebug)})
	if x.fault != nil {
		p.once.Do(func() { p.quiet = quiet.New(p.Gateway.Log, 1) })
		p.quiet.Note(slog.LevelInfo, "no_answer", "a service gave no valid answer", "id", v.ID(), "service", v.name, "error", x.fault)
	}
	return nil
}

var errNoWebsite = &httpError{
	errors.New("the service has no web = true"), http.StatusMisdirectedRequest, "http_request_denied",
}

// webTargetOf returns the name in a target of the form http://name[:port]/path.
func webTargetOf(r *http.Request) (jackfield.Name, error) {
	authority := r.Host
	if r.ProtoMajor == 1 {
		authority = r.URL.Host // r.Host is that of the field where this is empty
	}
	switch u := r.URL; {
	case r.ProtoMajor == 1 && u.Scheme == "https":
		return "", jackfield.Refuse(jackfield.Invalid, "a request for https:// cannot be read on its way: use CONNECT", nil)
	case r.ProtoMajor == 1 && u.Scheme != "http":
		return "", jackfield.Refuse(jackfield.Invalid, "the target of a request to the proxy is http://NAME/PATH", nil)
	case u.User != nil:
		return "", jackfield.Refuse(jackfield.Invalid, "the target may hold no user: send Authorization instead", nil)
	}
	host, ok := hostOf(authority)
	if !ok {
		return "", jackfield.Refuse(jackfield.Invalid, webSentence, nil)
	}
	name, err := jackfield.ParseName(host)
	if err != nil {
		return "", jackfield.Refuse(jackfield.Invalid, webSentence, err)
	}
	return name, nil
}

const webSentence = "the host of the target is the name of a service, such as http://web.fpga-1/"

// isForProxy says whether a request is one to a proxy, and not to this server.
func (h *Handler) isForProxy(r *http.Request, c *connection) bool {
	absolute := r.URL.Scheme != "" || r.URL.Host != "" || r.URL.Opaque != ""
	if r.ProtoMajor == 1 {
		return absolute
	}
	status, _ := h.names.misdirected(r, c.client.Local.Addr())
	return !absolute && status == http.StatusMisdirectedRequest
}
