package apitest_test

import (
	"context"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"go.uber.org/goleak"

	"jackfield/internal/api"
	"jackfield/internal/api/apitest"
	"jackfield/internal/identity"
)

func TestMain(m *testing.M) {
	openapi3filter.RegisterBodyDecoder("application/hcl", openapi3filter.FileBodyDecoder)
	goleak.VerifyTestMain(m)
}

// An example is a call of an operation that succeeds.
type example struct {
	path    string // after api.Base; "?" begins a query
	body    string // JSON, unless mediaType says otherwise
	media   string
	admin   bool                                      // only administrators may
	prepare func(t *testing.T, s *apitest.Server) any // before the call; what it returns stands for "%" in path and body
	last    string                                    // Last-Event-ID
	wrong   map[int]call                              // what of its own can go wrong, by status
}

var examples = map[string]example{
	"getHealth":        {path: "/health"},
	"getDocument":      {path: "/openapi.json"},
	"getVersion":       {path: "/version"},
	"getStatus":        {path: "/status"},
	"login":            {path: "/login", body: `{"token":"%","label":"laptop","lifetime":"1h","scopes":["read"]}`, prepare: oneTime, wrong: map[int]call{401: {body: `{"token":"nonsense"}`}}},
	"logout":           {path: "/logout"},
	"getMe":            {path: "/me"},
	"listServices":     {path: "/services?limit=1"},
	"getService":       {path: "/services/time"},
	"listStations":     {path: "/stations"},
	"getStation":       {path: "/stations/fpga-1"},
	"listSessions":     {path: "/sessions?limit=1"},
	"getSession":       {path: "/sessions/a1"},
	"disconnect":       {path: "/sessions/a1?reason=enough"},
	"listRecords":      {path: "/audit?event=open,close&limit=1&since=2026-11-22T05:00:00Z&source=192.0.2.0%2F24", prepare: records},
	"followRecords":    {path: "/audit/follow", prepare: records},
	"followEvents":     {path: "/events", last: "zzzz-9"},
	"listUsers":        {path: "/users", admin: true},
	"addUser":          {path: "/users", body: `{"name":"eve","groups":["lab"]}`, admin: true},
	"getUser":          {path: "/users/bob"},
	"changeUser":       {path: "/users/bob", body: `{"groups":["lab","staff"],"disabled":true}`, admin: true},
	"removeUser":       {path: "/users/bob", admin: true},
	"setPassword":      {path: "/users/bob/password", body: `{"password":"a very good password","current":"` + apitest.Password + `"}`, prepare: password},
	"listGroups":       {path: "/groups", admin: true},
	"getGroup":         {path: "/groups/lab", admin: true},
	"addMember":        {path: "/groups/lab/members/ada", admin: true},
	"removeMember":     {path: "/groups/lab/members/bob", admin: true},
	"listTokens":       {path: "/tokens?limit=1"},
	"addToken":         {path: "/tokens", body: `{"label":"robot","scopes":["read"],"lifetime":"24h"}`, wrong: map[int]call{404: {body: `{"user":"nosuch"}`, admin: true}}},
	"getToken":         {path: "/tokens/%", prepare: token},
	"removeToken":      {path: "/tokens/%", prepare: token},
	"getAuthority":     {path: "/certificates/authority"},
	"rotateAuthority":  {path: "/certificates/authority/rotate", admin: true},
	"retireAuthority":  {path: "/certificates/authority/retire", admin: true},
	"listCertificates": {path: "/certificates", admin: true},
	"issueCertificate": {path: "/certificates", body: `{"request":"-----BEGIN CERTIFICATE REQUEST-----","kind":"device","name":"meter-7","lifetime":"8760h"}`, admin: true,
		wrong: map[int]call{404: {body: `{"request":"-----BEGIN CERTIFICATE REQUEST-----","kind":"user","name":"nosuch"}`}}},
	"revokeCertificate": {path: "/certificates/00000000000000000000000000000001", admin: true},
	"listDevices":       {path: "/devices", admin: true},
	"getDevice":         {path: "/devices/meter-7", admin: true},
	"cutDevice":         {path: "/devices/meter-7/link?reason=enough", admin: true},
	"listAgents":        {path: "/agents?limit=1", admin: true},
	"enrollAgent": {path: "/agents", body: `{"name":"edge-8","offers":["console.*"],"owner":"bob","lifetime":"24h"}`, admin: true,
		wrong: map[int]call{404: {body: `{"name":"edge-8","owner":"nosuch"}`}}},
	"joinAgent":   {path: "/agents/join", body: `{"token":"` + apitest.JoinToken + `","request":"x"}`, wrong: map[int]call{401: {body: `{"token":"x","request":"y"}`}}},
	"getAgent":    {path: "/agents/roof-1", admin: true},
	"changeAgent": {path: "/agents/roof-1", body: `{"name":"roof-2","offers":["*"],"owner":""}`, admin: true},
	"removeAgent": {path: "/agents/roof-1", admin: true},
	"drainAgent":  {path: "/agents/roof-1/drain?reason=enough", admin: true},
	"reloadAgent": {path: "/agents/roof-1/reload", admin: true},
	"openTunnel":  {path: "/agents/roof-1/tunnel", body: `{"server_address":"127.0.0.1","server_port":9999,"local_port":22}`, admin: true},
	"why": {path: "/why", body: `{"service":"time","source":"192.0.2.7","user":"ada","groups":["lab"],"time":"2026-11-22T05:00:00Z","mappers":true}`, admin: true,
		wrong: map[int]call{404: {body: `{"service":"nosuch","source":"192.0.2.7"}`}}},
	"checkConfiguration": {path: "/configuration/check", body: "bad", media: "application/hcl", admin: true},
	"reload":             {path: "/configuration/reload", admin: true},
	"backup":             {path: "/backup", admin: true},
	"restore":            {path: "/restore", body: "everything", media: "application/octet-stream", admin: true},
}

func oneTime(t *testing.T, s *apitest.Server) any { return s.OneTime(t) }

func records(t *testing.T, s *apitest.Server) any {
	s.Record(t, "bob", "time")
	s.Record(t, "bob", "time")
	return ""
}

func password(t *testing.T, s *apitest.Server) any {
	s.GivePassword(t)
	return ""
}

func token(t *testing.T, s *apitest.Server) any {
	_, made, err := s.Directory.AddToken(t.Context(), identity.NewToken{User: "bob"})
	if err != nil {
		t.Fatal(err)
	}
	return made.ID
}

// Every operation of the document is called as it should be, and in every wrong way that the document lets one think of.
func TestContract(t *testing.T) {
	c := newContract(t)
	missing := maps.Clone(examples)
	for path, item := range c.document.Paths.Map() {
		for method, o := range item.Operations() {
			e, there := examples[o.OperationID]
			if !there {
				t.Errorf("%s has no example", o.OperationID)
				continue
			}
			delete(missing, o.OperationID)
			t.Run(o.OperationID, func(t *testing.T) { c.hold(t, &trial{t: t, method: method, path: path, operation: o, example: e}) })
		}
	}
	for id := range missing {
		t.Errorf("the document has no operation %q", id)
	}
}

// A trial is one operation under test.
type trial struct {
	t            *testing.T
	server       *apitest.Server
	method, path string
	operation    *openapi3.Operation
	example      example
	token        string
}

func (c *contract) hold(t *testing.T, tr *trial) {
	tr.server = apitest.NewWith(t, apitest.Setup{Wrap: c.check(t)})
	tr.token = tr.server.User
	if tr.example.admin {
		tr.token = tr.server.Admin
	}
	if prepare := tr.example.prepare; prepare != nil {
		for what := range strings.SplitSeq(prepare(t, tr.server).(string), "\n") {
			tr.example.path = strings.Replace(tr.example.path, "/%", "/"+what, 1)
			tr.example.body = strings.Replace(tr.example.body, "%", what, 1)
		}
	}
	tr.wrongCaller()
	tr.wrongParameters()
	tr.wrongBody()
	tr.stale()
	tr.right()
	hard := []int{409, 429, 500, 503} // need more than a call
	if !tr.hasSmallBody() {
		hard = append(hard, 413)
	}
	for _, status := range statuses(tr.operation) {
		if !slices.Contains(hard, status) && !c.was(tr.operation.OperationID, status) {
			t.Errorf("nothing was answered with %d, as the document says it may be", status)
		}
	}
}

// needs says whether the document wants the caller to be known, and with which scope.
func (tr *trial) needs() (scope string, known bool) {
	for _, requirement := range *tr.operation.Security {
		for _, scopes := range requirement {
			if len(scopes) > 0 {
				scope = scopes[0]
			}
			known = true
		}
	}
	return scope, known
}

func (tr *trial) wrongCaller() {
	scope, known := tr.needs()
	if known {
		tr.ask(call{anonymous: true}, 401)
		tr.ask(call{token: "nonsense"}, 401)
	}
	if scope != "" {
		tr.ask(call{token: tr.server.Token(tr.t, "bob", identity.Connect)}, 403)
	} else if known || tr.method != http.MethodGet {
		if tr.method == http.MethodGet {
			tr.server.Fake.Deny(true)
			tr.ask(call{}, 403)
			tr.server.Fake.Deny(false)
		} else {
			tr.ask(call{header: "Sec-Fetch-Site: cross-site"}, 403)
		}
	}
	if tr.example.admin {
		tr.ask(call{token: tr.server.User}, 403)
		tr.ask(call{token: tr.formerAdmin()}, 403)
	}
	for status, c := range tr.example.wrong {
		tr.ask(c, status)
	}
	tr.ask(call{method: "TRACE"}, 405)
}

// formerAdmin is a token that had the scope before its user lost the rank.
func (tr *trial) formerAdmin() string {
	d, ctx, no := tr.server.Directory, tr.t.Context(), false
	if _, err := d.AddUser(ctx, identity.NewUser{Name: "former", Admin: true}, ""); err != nil {
		tr.t.Fatal(err)
	}
	token := tr.server.Token(tr.t, "former", identity.AllScopes()...)
	if _, err := d.ChangeUser(ctx, "former", 0, identity.Change{Admin: &no}); err != nil {
		tr.t.Fatal(err)
	}
	return token
}

func (tr *trial) wrongParameters() {
	tr.ask(call{query: "nosuch=1"}, 400)
	if tr.operation.Parameters.GetByInAndName("query", "cursor") != nil {
		tr.ask(call{query: "cursor=nonsense"}, 400)
		tr.ask(call{query: "limit=0"}, 400)
	}
	if strings.Contains(tr.path, "{") {
		tr.ask(call{unknown: true}, 404)
	}
}

func (tr *trial) wrongBody() {
	if tr.operation.RequestBody == nil {
		return
	}
	tr.ask(call{header: "Content-Type: application/xml"}, 415)
	if tr.operation.RequestBody.Value.Content.Get("application/json") != nil {
		tr.ask(call{body: "{"}, 400)
		tr.ask(call{body: `{"nosuch":1}`}, 400)
		tr.ask(call{body: tr.example.body + "{}"}, 400)
	}
	if tr.hasSmallBody() {
		tr.ask(call{body: `{"name":"` + strings.Repeat("x", api.MaxBody) + `"}`}, 413)
	}
}

// hasSmallBody says whether a test can send a body that is too large.
func (tr *trial) hasSmallBody() bool { return tr.operation.OperationID != "restore" }

func (tr *trial) stale() {
	if tr.operation.Parameters.GetByInAndName("header", "If-Match") != nil {
		tr.ask(call{header: `If-Match: "old"`}, 412)
	}
}

func (tr *trial) right() {
	status := statuses(tr.operation)[0]
	answer := tr.ask(call{}, status)
	if tag := answer.Get("ETag"); tag != "" && tr.method == http.MethodGet {
		tr.ask(call{header: "If-None-Match: " + tag}, 304)
	}
}

// A call is a trial's example, but for what is set.
type call struct {
	anonymous, admin    bool
	token, body, header string
	method, query       string
	unknown             bool // with names in the path that nothing has
}

func (tr *trial) ask(c call, want int) http.Header {
	tr.t.Helper()
	ctx, cancel := context.WithTimeout(tr.t.Context(), 30*time.Second)
	defer cancel()
	r := tr.request(ctx, c)
	answer, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(r)
	if err != nil {
		tr.t.Fatal(err)
	}
	defer answer.Body.Close()
	if answer.Header.Get("Content-Type") == "text/event-stream" {
		tr.server.Record(tr.t, "bob", "time")
		tr.server.Hub.Publish(api.Event{Type: api.ServiceChanged, Subject: "time", Service: "time"})
		tr.server.Stop("enough")
	}
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		tr.t.Fatal(err)
	}
	if answer.StatusCode != want {
		tr.t.Errorf("%s %s (%+.100v): %s %s, want %d", r.Method, r.URL, c, answer.Status, body, want)
	}
	return answer.Header
}

func (tr *trial) request(ctx context.Context, c call) *http.Request {
	path, query, _ := strings.Cut(tr.example.path, "?")
	if c.unknown {
		path = unknownPath(tr.path)
	}
	if c.query != "" {
		query = c.query
	}
	method, body := tr.method, tr.example.body
	if c.method != "" {
		method, body = c.method, ""
	}
	if c.body != "" {
		body = c.body
	}
	r, err := http.NewRequestWithContext(ctx, method, tr.server.URL+api.Base+path+"?"+query, strings.NewReader(body))
	if err != nil {
		tr.t.Fatal(err)
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
		if tr.example.media != "" {
			r.Header.Set("Content-Type", tr.example.media)
		}
	}
	if tr.example.last != "" {
		r.Header.Set("Last-Event-ID", tr.example.last)
	}
	if _, known := tr.needs(); known && !c.anonymous {
		token := tr.token
		if c.admin {
			token = tr.server.Admin
		}
		if c.token != "" {
			token = c.token
		}
		r.Header.Set("Authorization", "Bearer "+token)
	}
	if name, value, there := strings.Cut(c.header, ": "); there {
		r.Header.Set(name, value)
	}
	return r
}

// unknownPath is the path with names in it that nothing has.
func unknownPath(pattern string) string {
	var segments []string
	for i, segment := range strings.Split(strings.TrimPrefix(pattern, api.Base), "/") {
		if strings.HasPrefix(segment, "{") {
			segment = "nosuch-" + strconv.Itoa(i)
		}
		segments = append(segments, segment)
	}
	return strings.Join(segments, "/")
}
