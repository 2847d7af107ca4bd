package api

import (
	"context"
	"log/slog"
	"math"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"jackfield"
	"jackfield/internal/audit"
	"jackfield/internal/enrolment"
	"jackfield/internal/identity"
)

// ProofPeer is the proof of a caller who is known by the connection to the Unix socket.
const ProofPeer jackfield.Proof = "peer"

// A call is one request and what is known of it.
type call struct {
	server    *Server
	entrance  *Entrance
	operation *operation // nil until it is known
	w         http.ResponseWriter
	r         *http.Request
	ctx       context.Context // ends with the request, and when the caller may no longer be here
	who       *identity.Caller
	values    url.Values
	status    int // of the answer
	record    audit.Call
	location  string // of what was made
}

func (s *Server) handler(e Entrance) http.Handler {
	mux := http.NewServeMux()
	byPath := make(map[string][]*operation)
	for _, o := range s.table {
		byPath[o.pattern()] = append(byPath[o.pattern()], o)
	}
	for pattern, operations := range byPath {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			s.newCall(&e, w, r, pattern).run(func(c *call) error { return c.dispatch(operations) })
		})
	}
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		s.newCall(&e, w, r, "").run(func(*call) error { return notFound("there is nothing of this name here") })
	})
	return mux
}

func (s *Server) newCall(e *Entrance, w http.ResponseWriter, r *http.Request, pattern string) *call {
	local, _ := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	return &call{
		server: s, entrance: e, w: w, r: r, ctx: r.Context(),
		record: audit.Call{
			Request: jackfield.Request{
				ID:       s.NewID(),
				Time:     time.Now(),
				Listener: e.Listener,
				Protocol: e.Protocol,
				Source:   parseAddress(r.RemoteAddr),
				Local:    addressOf(local),
				Identity: jackfield.Identity{Proof: jackfield.ProofNone},
			},
			Method: r.Method,
			Path:   pattern,
		},
	}
}

func addressOf(a net.Addr) netip.AddrPort {
	if a == nil {
		return netip.AddrPort{}
	}
	return parseAddress(a.String())
}

// parseAddress returns an address that is not valid for what is no address and port, as on a Unix socket.
func parseAddress(text string) netip.AddrPort {
	address, err := netip.ParseAddrPort(text)
	if err != nil {
		return netip.AddrPort{}
	}
	return netip.AddrPortFrom(address.Addr().Unmap(), address.Port())
}

// run answers the call and has it recorded.
func (c *call) run(answer func(*call) error) {
	header := c.w.Header()
	header.Set("Cache-Control", "no-store")
	header.Set("X-Content-Type-Options", "nosniff")
	defer c.tellAudit()
	if err := answer(c); err != nil {
		c.refuse(err)
	}
}

// tellAudit leaves out what succeeded and everybody may ask for: it would let strangers fill the audit.
func (c *call) tellAudit() {
	c.record.Status = c.status
	c.record.Duration = time.Since(c.record.Time)
	if !c.isIdle() {
		c.server.Audit(&c.record)
	}
}

// isIdle says whether the call told a stranger what every stranger may know.
func (c *call) isIdle() bool {
	if c.status == 0 || c.status >= http.StatusBadRequest {
		return false
	}
	return c.operation == nil || c.operation.access == forAll && c.operation.method == http.MethodGet
}

// dispatch finds the operation of a path that the method asks for.
func (c *call) dispatch(operations []*operation) error {
	method := c.r.Method
	if method == http.MethodHead {
		method = http.MethodGet
	}
	i := slices.IndexFunc(operations, func(o *operation) bool { return o.method == method })
	switch {
	case i >= 0:
		c.operation = operations[i]
		return c.perform()
	case method == http.MethodOptions:
		c.w.Header().Set("Allow", allowed(operations))
		c.writeHeader(http.StatusNoContent)
		return nil
	}
	c.w.Header().Set("Allow", allowed(operations))
	return refuseWith(http.StatusMethodNotAllowed, jackfield.Invalid, "this cannot be done here; what can is in the header Allow")
}

// perform authorises the call and does what it asks for.
func (c *call) perform() error {
	leave, err := c.authorise()
	if err != nil {
		return err
	}
	defer leave()
	if c.values, err = c.parseQuery(); err != nil {
		return err
	}
	if c.operation.target != "" {
		c.about(c.operation.target, c.r.PathValue(parameterNames(c.operation.path)[0]))
	}
	if c.operation.stream != nil {
		c.record.End, err = c.operation.stream(c)
		return err
	}
	answer, err := c.operation.serve(c)
	if err != nil {
		return err
	}
	return c.write(answer)
}

// about says what the call is about, for the audit.
func (c *call) about(kind, name string) {
	if strings.HasPrefix(name, identity.SecretPrefix) || strings.HasPrefix(name, enrolment.TokenPrefix) {
		name = "(hidden)" // somebody took the secret for the id
	}
	c.record.Target = kind + " " + name
}

// crossOrigin keeps a browser that has a client certificate from doing what a foreign page asks for.
var crossOrigin http.CrossOriginProtection

// authorise finds out who calls and whether they may. What it returns is to be called when the call is over.
func (c *call) authorise() (leave func(), err error) {
	if err := crossOrigin.Check(c.r); err != nil {
		return nil, jackfield.Refuse(jackfield.Denied, "another site's page may not do this", err)
	}
	if c.operation.access == forAll {
		return func() {}, nil
	}
	if c.entrance.Peer != nil {
		if err := c.entrance.Peer(c.r); err != nil {
			return nil, jackfield.Refuse(jackfield.Denied, "only root and the server's own user may do this", err)
		}
		c.who = &identity.Caller{Identity: jackfield.Identity{Proof: ProofPeer}, Admin: true, Scopes: identity.AllScopes()}
		c.record.Identity = c.who.Identity
		return func() {}, nil
	}
	if c.who, err = c.authenticate(); err != nil {
		return nil, err
	}
	c.record.Token = c.who.TokenID
	if err := c.admit(c.who.Identity); err != nil {
		return nil, err
	}
	if err := c.mayPerform(); err != nil {
		return nil, err
	}
	c.ctx, leave = c.who.Context(c.r.Context())
	return leave, nil
}

func (c *call) authenticate() (*identity.Caller, error) {
	headers := c.r.Header.Values("Authorization")
	if len(headers) == 0 {
		return c.byCertificate()
	}
	scheme, secret, _ := strings.Cut(headers[0], " ")
	if len(headers) > 1 || !strings.EqualFold(scheme, "Bearer") {
		return nil, c.unauthenticated("", "say who you are with one header: Authorization: Bearer TOKEN", nil)
	}
	caller, err := c.server.Directory.Authenticate(strings.TrimSpace(secret))
	if err != nil && jackfield.AsError(err).Kind == jackfield.Unauthenticated {
		return nil, c.unauthenticated("invalid_token", "the token is not valid: log in again", err)
	}
	return caller, err
}

func (c *call) byCertificate() (*identity.Caller, error) {
	if c.entrance.Certificate != nil {
		if certificate, there := c.entrance.Certificate(c.r); there {
			caller, err := c.server.Directory.CallerOf(certificate)
			if err != nil && jackfield.AsError(err).Kind == jackfield.Unauthenticated {
				return nil, c.unauthenticated("", "the client certificate is nobody's here", err)
			}
			return caller, err
		}
	}
	return nil, c.unauthenticated("", "log in first, and send the token with: Authorization: Bearer TOKEN", nil)
}

// unauthenticated says how to do better (RFC 6750, section 3).
func (c *call) unauthenticated(code, message string, details error) error {
	c.challenge(code, "")
	return jackfield.Refuse(jackfield.Unauthenticated, message, details)
}

func (c *call) challenge(code, scope string) {
	challenge := `Bearer realm="jackfield"`
	if code != "" {
		challenge += `, error="` + code + `"`
	}
	if scope != "" {
		challenge += `, scope="` + scope + `"`
	}
	c.w.Header().Set("WWW-Authenticate", challenge)
}

// mayPerform holds the caller to scope and rank.
func (c *call) mayPerform() error {
	o := c.operation
	if o.scope != "" && !c.who.Has(o.scope) {
		c.challenge("insufficient_scope", string(o.scope))
		return jackfield.Refuse(jackfield.Denied, "this needs a token of scope "+string(o.scope)+": ask for it at login, or when the token is made", nil)
	}
	if o.access == forAdmin && !c.who.Admin {
		return jackfield.Refuse(jackfield.Denied, "only administrators may do this", nil)
	}
	return nil
}

// owns says whether the caller is the user.
func (c *call) owns(user string) bool { return user != "" && user == c.who.Identity.User }

// parseQuery refuses what the operation does not know, so that a filter with a slip is not taken for none.
func (c *call) parseQuery() (url.Values, error) {
	values, err := url.ParseQuery(c.r.URL.RawQuery)
	if err != nil {
		return nil, invalid("the query cannot be read")
	}
	known := c.operation.queryParameters()
	for name, list := range values {
		if !slices.ContainsFunc(known, func(p parameter) bool { return p.name == name }) {
			return nil, invalid("there is no parameter " + strconv.Quote(clip(name)))
		}
		if len(list) > 1 {
			return nil, invalid("the parameter " + strconv.Quote(clip(name)) + " is there more than once")
		}
	}
	return values, nil
}

func (c *call) query(name string) string { return c.values.Get(name) }

// write sends the answer, or that the client has it already.
func (c *call) write(answer any) error {
	if answer == nil {
		if c.status == 0 {
			c.writeHeader(c.operation.success())
		}
		return nil
	}
	body, err := encode(answer)
	if err != nil {
		return err
	}
	return c.writeBody("application/json", body)
}

func (c *call) writeBody(mediaType string, body []byte) error {
	header := c.w.Header()
	if c.operation.tagged {
		tag := etagOf(body)
		header.Set("ETag", tag)
		if c.operation.method == http.MethodGet && matches(c.r.Header.Values("If-None-Match"), tag, true) {
			c.writeHeader(http.StatusNotModified)
			return nil
		}
	}
	if c.location != "" {
		header.Set("Location", c.location)
	}
	header.Set("Content-Type", mediaType)
	header.Set("Content-Length", strconv.Itoa(len(body)))
	c.writeHeader(c.operation.success())
	c.w.Write(body)
	return nil
}

func (c *call) writeHeader(status int) {
	c.status = status
	c.w.WriteHeader(status)
}

// refuse answers with a problem, and logs the rest. Where an answer has begun already, it breaks it off.
func (c *call) refuse(err error) {
	refusal, status := jackfield.AsError(err), statusOf(err)
	if refusal.ID != "" {
		c.record.ID = refusal.ID // the gateway's, which has logged it
	}
	if refusal.Details != nil {
		c.record.Details = refusal.Details.Error()
	}
	if c.record.Details == "" {
		c.record.Details = refusal.Message
	}
	if refusal.ID == "" {
		c.log(status, refusal)
	}
	if c.status != 0 {
		panic(http.ErrAbortHandler)
	}
	c.status = status
	body, err := encode(Problem{
		Type: problemType + string(refusal.Kind), Title: http.StatusText(status), Status: status,
		Detail: refusal.Message, Kind: refusal.Kind, ID: c.record.ID,
	})
	if err != nil {
		return // strings and a number can be encoded
	}
	header := c.w.Header()
	if wait := retryAfter(err, status); wait != "" {
		header.Set("Retry-After", wait)
	}
	header.Set("Content-Type", "application/problem+json")
	header.Set("Content-Length", strconv.Itoa(len(body)))
	c.w.WriteHeader(status)
	c.w.Write(body)
}

func (c *call) log(status int, refusal *jackfield.Error) {
	level := slog.LevelInfo
	switch {
	case refusal.Kind == jackfield.Internal:
		level = slog.LevelError
	case refusal.Alarm:
		level = slog.LevelWarn
	}
	c.server.Log.Log(c.ctx, level, "call refused", "id", c.record.ID, "kind", string(refusal.Kind), "reason", refusal.Error(),
		"method", c.record.Method, "path", c.record.Path, "status", status, "listener", c.record.Listener,
		"source", sourceOf(&c.record.Request), "user", c.record.Identity.User,
		"target", c.record.Target)
}

// sourceOf is empty on the Unix socket.
func sourceOf(r *jackfield.Request) string {
	if !r.Source.IsValid() {
		return ""
	}
	return r.Source.String()
}

// retryAfter is how many seconds a client had better wait.
func retryAfter(err error, status int) string {
	if status != http.StatusTooManyRequests && status != http.StatusServiceUnavailable {
		return ""
	}
	return strconv.Itoa(max(1, int(math.Ceil(identity.RetryAfter(err).Seconds()))))
}
