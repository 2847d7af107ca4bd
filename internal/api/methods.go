package api

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// Health says whether the server accepts clients. It needs no authentication.
func (c *Client) Health(ctx context.Context) (Health, error) { return fetch[Health](ctx, c, "/health") }

// Document returns the OpenAPI document. It needs no authentication.
func (c *Client) Document(ctx context.Context) (map[string]any, error) {
	return fetch[map[string]any](ctx, c, "/openapi.json")
}

// Version says what runs.
func (c *Client) Version(ctx context.Context) (Version, error) {
	return fetch[Version](ctx, c, "/version")
}

// Status describes the server's process.
func (c *Client) Status(ctx context.Context) (Status, error) { return fetch[Status](ctx, c, "/status") }

// Login gets a token by password or one-time token. The client goes on without it.
func (c *Client) Login(ctx context.Context, l Login) (Grant, error) {
	return send[Grant](ctx, c, http.MethodPost, "/login", l)
}

// Logout revokes the client's token.
func (c *Client) Logout(ctx context.Context) error { return c.order(ctx, http.MethodPost, "/logout") }

// Me says who the server takes the client for.
func (c *Client) Me(ctx context.Context) (Me, error) { return fetch[Me](ctx, c, "/me") }

// Services returns the services that the caller may see, by name.
func (c *Client) Services(ctx context.Context) ([]Service, error) {
	return fetchAll(ctx, c, "/services", nil, func(l ServiceList) ([]Service, string) { return l.Services, l.Next })
}

// Service returns one of them.
func (c *Client) Service(ctx context.Context, name string) (Service, error) {
	return fetch[Service](ctx, c, "/services/"+url.PathEscape(name))
}

// Stations returns the stations of which the caller may see a service, by name.
func (c *Client) Stations(ctx context.Context) ([]Station, error) {
	return fetchAll(ctx, c, "/stations", nil, func(l StationList) ([]Station, string) { return l.Stations, l.Next })
}

// Station returns one of them.
func (c *Client) Station(ctx context.Context, name string) (Station, error) {
	return fetch[Station](ctx, c, "/stations/"+url.PathEscape(name))
}

// Sessions returns the sessions that are open, the oldest first: an administrator's view has all, others' their own.
func (c *Client) Sessions(ctx context.Context) ([]Session, error) {
	return fetchAll(ctx, c, "/sessions", nil, func(l SessionList) ([]Session, string) { return l.Sessions, l.Next })
}

// Session returns one of them.
func (c *Client) Session(ctx context.Context, id string) (Session, error) {
	return fetch[Session](ctx, c, "/sessions/"+url.PathEscape(id))
}

// Disconnect ends a session. It returns when the session was told to end, not when it has. The reason may be empty.
func (c *Client) Disconnect(ctx context.Context, id, reason string) error {
	return c.cut(ctx, "/sessions/"+url.PathEscape(id), reason)
}

// RecordFilter says which records of the audit are wanted; what is zero fits all.
type RecordFilter struct {
	Since, Until time.Time
	Events       string // with commas between them
	Service      string // a name or a pattern
	User         string
	Source       string // an address or a network
	Listener     string
	ID           string
	End          string
}

func (f RecordFilter) query() url.Values {
	query := make(url.Values)
	for name, value := range map[string]string{
		"since": formatTime(f.Since), "until": formatTime(f.Until), "event": f.Events, "service": f.Service, "user": f.User,
		"source": f.Source, "listener": f.Listener, "id": f.ID, "end": f.End,
	} {
		if value != "" {
			query.Set(name, value)
		}
	}
	return query
}

func formatTime(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.Format(time.RFC3339Nano)
}

// Records returns a part of the audit, the newest first. It begins after the cursor, which is Next of the part before, or
// empty; limit 0 is the server's choice.
func (c *Client) Records(ctx context.Context, f RecordFilter, cursor string, limit int) (AuditList, error) {
	query := f.query()
	if cursor != "" {
		query.Set("cursor", cursor)
	}
	if limit > 0 {
		query.Set("limit", strconv.Itoa(limit))
	}
	var list AuditList
	_, err := c.do(ctx, request{method: http.MethodGet, path: "/audit", query: query}, &list)
	return list, err
}

// Users returns all users, by name.
func (c *Client) Users(ctx context.Context) ([]User, error) {
	return fetchAll(ctx, c, "/users", nil, func(l UserList) ([]User, string) { return l.Users, l.Next })
}

// User returns a user and the tag that says in which state.
func (c *Client) User(ctx context.Context, name string) (u User, tag string, err error) {
	tag, err = c.do(ctx, request{method: http.MethodGet, path: "/users/" + url.PathEscape(name)}, &u)
	return u, tag, err
}

// AddUser adds a user.
func (c *Client) AddUser(ctx context.Context, n NewUser) (User, error) {
	return send[User](ctx, c, http.MethodPost, "/users", n)
}

// ChangeUser changes a user, if it is in the state that the tag says; in any, if that is empty.
func (c *Client) ChangeUser(ctx context.Context, name, tag string, change UserChange) (User, error) {
	var u User
	_, err := c.do(ctx, request{method: http.MethodPatch, path: "/users/" + url.PathEscape(name), body: change, match: tag}, &u)
	return u, err
}

// RemoveUser removes a user, if it is in the state that the tag says; in any, if that is empty.
func (c *Client) RemoveUser(ctx context.Context, name, tag string) error {
	_, err := c.do(ctx, request{method: http.MethodDelete, path: "/users/" + url.PathEscape(name), match: tag}, nil)
	return err
}

// SetPassword sets a password.
func (c *Client) SetPassword(ctx context.Context, name string, change PasswordChange) error {
	_, err := c.do(ctx, request{method: http.MethodPut, path: "/users/" + url.PathEscape(name) + "/password", body: change}, nil)
	return err
}

// Groups returns all groups, by name.
func (c *Client) Groups(ctx context.Context) ([]Group, error) {
	return fetchAll(ctx, c, "/groups", nil, func(l GroupList) ([]Group, string) { return l.Groups, l.Next })
}

// Group returns one of them.
func (c *Client) Group(ctx context.Context, name string) (Group, error) {
	return fetch[Group](ctx, c, "/groups/"+url.PathEscape(name))
}

// AddMember puts a user into a group.
func (c *Client) AddMember(ctx context.Context, group, user string) error {
	return c.order(ctx, http.MethodPut, memberPath(group, user))
}

// RemoveMember takes a user out of a group.
func (c *Client) RemoveMember(ctx context.Context, group, user string) error {
	return c.order(ctx, http.MethodDelete, memberPath(group, user))
}

func memberPath(group, user string) string {
	return "/groups/" + url.PathEscape(group) + "/members/" + url.PathEscape(user)
}

// Tokens returns a user's tokens; without a user, the caller's own or, on the Unix socket, all.
func (c *Client) Tokens(ctx context.Context, user string) ([]Token, error) {
	query := make(url.Values)
	if user != "" {
		query.Set("user", user)
	}
	return fetchAll(ctx, c, "/tokens", query, func(l TokenList) ([]Token, string) { return l.Tokens, l.Next })
}

// Token returns a token, without its secret.
func (c *Client) Token(ctx context.Context, id string) (Token, error) {
	return fetch[Token](ctx, c, "/tokens/"+url.PathEscape(id))
}

// AddToken makes a token.
func (c *Client) AddToken(ctx context.Context, n NewToken) (Grant, error) {
	return send[Grant](ctx, c, http.MethodPost, "/tokens", n)
}

// RemoveToken revokes a token.
func (c *Client) RemoveToken(ctx context.Context, id string) error {
	return c.order(ctx, http.MethodDelete, "/tokens/"+url.PathEscape(id))
}

// Authority tells what clients need to trust. It needs no authentication.
func (c *Client) Authority(ctx context.Context) (Authority, error) {
	return fetch[Authority](ctx, c, "/certificates/authority")
}

// RotateAuthority makes a new authority.
func (c *Client) RotateAuthority(ctx context.Context) (Authority, error) {
	return send[Authority](ctx, c, http.MethodPost, "/certificates/authority/rotate", nil)
}

// RetireAuthority ends the time in which the authority before the present one is accepted.
func (c *Client) RetireAuthority(ctx context.Context) (Authority, error) {
	return send[Authority](ctx, c, http.MethodPost, "/certificates/authority/retire", nil)
}

// Certificates returns those that were issued, by serial number.
func (c *Client) Certificates(ctx context.Context) ([]Certificate, error) {
	return fetchAll(ctx, c, "/certificates", nil, func(l CertificateList) ([]Certificate, string) { return l.Certificates, l.Next })
}

// IssueCertificate has a certificate signed.
func (c *Client) IssueCertificate(ctx context.Context, r CertificateRequest) (IssuedCertificate, error) {
	return send[IssuedCertificate](ctx, c, http.MethodPost, "/certificates", r)
}

// RevokeCertificate revokes a certificate.
func (c *Client) RevokeCertificate(ctx context.Context, serial string) error {
	return c.order(ctx, http.MethodDelete, "/certificates/"+url.PathEscape(serial))
}

// Devices returns the devices of the configuration, by name.
func (c *Client) Devices(ctx context.Context) ([]Device, error) {
	return fetchAll(ctx, c, "/devices", nil, func(l DeviceList) ([]Device, string) { return l.Devices, l.Next })
}

// Device returns one of them.
func (c *Client) Device(ctx context.Context, name string) (Device, error) {
	return fetch[Device](ctx, c, "/devices/"+url.PathEscape(name))
}

// CutDevice cuts a device's link. The reason may be empty.
func (c *Client) CutDevice(ctx context.Context, name, reason string) error {
	return c.cut(ctx, "/devices/"+url.PathEscape(name)+"/link", reason)
}

// Agents returns the agents that were enrolled and those of the configuration, by name.
func (c *Client) Agents(ctx context.Context) ([]Agent, error) {
	return fetchAll(ctx, c, "/agents", nil, func(l AgentList) ([]Agent, string) { return l.Agents, l.Next })
}

// Agent returns one of them.
func (c *Client) Agent(ctx context.Context, name string) (Agent, error) {
	return fetch[Agent](ctx, c, agentPath(name))
}

// EnrollAgent makes the token by which an agent joins.
func (c *Client) EnrollAgent(ctx context.Context, n NewAgent) (Enrolment, error) {
	return send[Enrolment](ctx, c, http.MethodPost, "/agents", n)
}

// ChangeAgent changes an agent, or renames it.
func (c *Client) ChangeAgent(ctx context.Context, name string, change AgentChange) (Agent, error) {
	return send[Agent](ctx, c, http.MethodPatch, agentPath(name), change)
}

// RemoveAgent removes an agent.
func (c *Client) RemoveAgent(ctx context.Context, name string) error {
	return c.order(ctx, http.MethodDelete, agentPath(name))
}

// JoinAgent uses a token up. It needs no authentication.
func (c *Client) JoinAgent(ctx context.Context, j AgentJoin) (AgentMembership, error) {
	return send[AgentMembership](ctx, c, http.MethodPost, "/agents/join", j)
}

// DrainAgent has an agent end when its streams have. It returns when the agent was told. The reason may be empty.
func (c *Client) DrainAgent(ctx context.Context, name, reason string) error {
	return c.orderWhy(ctx, http.MethodPost, agentPath(name)+"/drain", reason)
}

// ReloadAgent has an agent read its configuration again. A refusal's message says what is wrong with it.
func (c *Client) ReloadAgent(ctx context.Context, name string) error {
	return c.order(ctx, http.MethodPost, agentPath(name)+"/reload")
}

// OpenTunnel has an agent open a Mihini tunnel, and returns when that is up.
func (c *Client) OpenTunnel(ctx context.Context, name string, t AgentTunnel) error {
	_, err := c.do(ctx, request{method: http.MethodPost, path: agentPath(name) + "/tunnel", body: t}, nil)
	return err
}

func agentPath(name string) string { return "/agents/" + url.PathEscape(name) }

// Why asks what would become of a request.
func (c *Client) Why(ctx context.Context, q Question) (Explanation, error) {
	return send[Explanation](ctx, c, http.MethodPost, "/why", q)
}

// CheckConfiguration says what is wrong with a configuration; without text, with the server's file.
func (c *Client) CheckConfiguration(ctx context.Context, text io.Reader) (Problems, error) {
	q := request{method: http.MethodPost, path: "/configuration/check", raw: text}
	if text != nil {
		q.mediaType = configurationType
	}
	var p Problems
	_, err := c.do(ctx, q, &p)
	return p, err
}

// Reload has the server put its configuration file to work. A refusal's message says all that is wrong with it.
func (c *Client) Reload(ctx context.Context) (Reloaded, error) {
	return send[Reloaded](ctx, c, http.MethodPost, "/configuration/reload", nil)
}

// Backup writes all that the server keeps. After an error, what was written is no backup.
func (c *Client) Backup(ctx context.Context, to io.Writer) error {
	answer, err := c.ask(ctx, request{method: http.MethodGet, path: "/backup"})
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if _, err = io.Copy(to, answer.Body); err != nil {
		return c.explain(err)
	}
	return nil
}

// Restore puts a backup back.
func (c *Client) Restore(ctx context.Context, from io.Reader) error {
	answer, err := c.ask(ctx, request{method: http.MethodPost, path: "/restore", raw: from, mediaType: backupType})
	if err != nil {
		return err
	}
	return answer.Body.Close()
}

// order asks for something that has no answer.
func (c *Client) order(ctx context.Context, method, path string) error {
	_, err := c.do(ctx, request{method: method, path: path}, nil)
	return err
}

func (c *Client) cut(ctx context.Context, path, reason string) error {
	return c.orderWhy(ctx, http.MethodDelete, path, reason)
}

func (c *Client) orderWhy(ctx context.Context, method, path, reason string) error {
	q := request{method: method, path: path}
	if reason != "" {
		q.query = url.Values{"reason": {reason}}
	}
	_, err := c.do(ctx, q, nil)
	return err
}
