package api_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"jackfield"
	"jackfield/internal/api"
	"jackfield/internal/api/apitest"
	"jackfield/internal/audit/journal"
	"jackfield/internal/identity"
	"jackfield/internal/store"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// ask makes a call as it stands: "GET /me", with headers "Name: value".
func ask(t *testing.T, s *apitest.Server, token, line, body string, headers ...string) (*http.Response, string) {
	t.Helper()
	method, path, _ := strings.Cut(line, " ")
	r, err := http.NewRequestWithContext(t.Context(), method, s.URL+api.Base+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	for _, header := range headers {
		name, value, _ := strings.Cut(header, ": ")
		if name == "Transfer-Encoding" {
			r.ContentLength = -1
		} else {
			r.Header.Set(name, value)
		}
	}
	answer, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer, string(text)
}

func wantProblem(t *testing.T, answer *http.Response, body string, status int, kind jackfield.Kind, part string) {
	t.Helper()
	var p api.Problem
	if err := json.Unmarshal([]byte(body), &p); err != nil {
		t.Fatalf("%s: %q: %v", answer.Status, body, err)
	}
	if answer.StatusCode != status || p.Status != status || p.Kind != kind || !strings.Contains(p.Detail, part) || p.ID == "" {
		t.Errorf("%s: %s, want %d %s with %q", answer.Status, body, status, kind, part)
	}
	if got := answer.Header.Get("Content-Type"); got != "application/problem+json" {
		t.Errorf("a problem of type %q", got)
	}
}

func TestWrongUse(t *testing.T) {
	s := apitest.New(t)
	defer http.DefaultTransport.(*http.Transport).CloseIdleConnections()
	asks := []string{"Expect: 100-continue"} // who sends without asking, and is held up, may see a reset in place of the answer
	for name, c := range map[string]struct {
		token, line, body string
		headers           []string
		status            int
		kind              jackfield.Kind
		part              string
	}{
		"no token":           {"", "GET /me", "", nil, 401, "unauthenticated", "log in"},
		"wrong token":        {"nonsense", "GET /me", "", nil, 401, "unauthenticated", "not valid"},
		"wrong scheme":       {"", "GET /me", "", []string{"Authorization: Basic YTpi"}, 401, "unauthenticated", "Bearer"},
		"token in query":     {s.User, "GET /me?access_token=x", "", nil, 400, "invalid", `"access_token"`},
		"unknown path":       {s.User, "GET /nothing", "", nil, 404, "not_found", ""},
		"wrong method":       {s.User, "PUT /me", "", nil, 405, "invalid", "Allow"},
		"scope":              {s.ReadOnly, "DELETE /sessions/a1", "", nil, 403, "denied", "scope write"},
		"not admin":          {s.User, "GET /users", "", nil, 403, "denied", "scope admin"},
		"unknown parameter":  {s.User, "GET /sessions?limt=1", "", nil, 400, "invalid", `"limt"`},
		"twice":              {s.User, "GET /sessions?limit=1&limit=2", "", nil, 400, "invalid", "more than once"},
		"bad query":          {s.User, "GET /sessions?a=%zz", "", nil, 400, "invalid", "query"},
		"limit 0":            {s.User, "GET /sessions?limit=0", "", nil, 400, "invalid", "1 to 1000"},
		"limit 1001":         {s.User, "GET /sessions?limit=1001", "", nil, 400, "invalid", "1 to 1000"},
		"bad cursor":         {s.User, "GET /sessions?cursor=zzz", "", nil, 400, "invalid", "cursor"},
		"bad audit cursor":   {s.User, "GET /audit?cursor=zzz", "", nil, 400, "invalid", "cursor"},
		"others' audit":      {s.User, "GET /audit?user=ada", "", nil, 403, "denied", "others"},
		"bad time":           {s.User, "GET /audit?since=yesterday", "", nil, 400, "invalid", "RFC 3339"},
		"bad source":         {s.User, "GET /audit?source=home", "", nil, 400, "invalid", "source"},
		"bad service":        {s.User, "GET /audit?service=%5B", "", nil, 400, "invalid", "service"},
		"bad JSON":           {s.Admin, "POST /users", "{", nil, 400, "invalid", "ends before"},
		"no JSON":            {s.Admin, "POST /users", "<a>", nil, 400, "invalid", "not JSON"},
		"unknown field":      {s.Admin, "POST /users", `{"name":"x","nmae":1}`, nil, 400, "invalid", `"nmae"`},
		"wrong type":         {s.Admin, "POST /users", `{"name":1}`, nil, 400, "invalid", `"name"`},
		"not an object":      {s.Admin, "POST /users", `[]`, nil, 400, "invalid", "object"},
		"trailing":           {s.Admin, "POST /users", `{"name":"x"}{}`, nil, 400, "invalid", "goes on"},
		"bad duration":       {s.User, "POST /tokens", `{"lifetime":"soon"}`, nil, 400, "invalid", "duration"},
		"content type":       {s.Admin, "POST /users", `{"name":"x"}`, []string{"Content-Type: text/plain"}, 415, "invalid", "application/json"},
		"too large":          {s.Admin, "POST /users", `{"name":"` + strings.Repeat("x", api.MaxBody) + `"}`, asks, 413, "invalid", "1048576"},
		"too large behind":   {s.Admin, "POST /users", `{"name":"x"}` + strings.Repeat(" ", api.MaxBody), asks, 413, "invalid", "1048576"},
		"too large, untold":  {s.Admin, "POST /users", `{"name":"` + strings.Repeat("x", api.MaxBody) + `"}`, []string{"Transfer-Encoding: chunked"}, 413, "invalid", "1048576"},
		"taken":              {s.Admin, "POST /users", `{"name":"bob"}`, nil, 409, "busy", ""},
		"stale":              {s.Admin, "PATCH /users/bob", `{}`, []string{`If-Match: "old"`}, 412, "invalid", "changed"},
		"others' session":    {s.User, "DELETE /sessions/b%2F2", "", nil, 404, "not_found", "session"},
		"others' token":      {s.User, "GET /tokens?user=ada", "", nil, 403, "denied", "other users"},
		"for others":         {s.User, "POST /tokens", `{"user":"ada"}`, nil, 403, "denied", "others"},
		"more scopes":        {s.User, "POST /tokens", `{"scopes":["admin"]}`, nil, 403, "denied", "scope"},
		"unknown scope":      {s.User, "POST /tokens", `{"scopes":["all"]}`, nil, 400, "invalid", ""},
		"other user":         {s.User, "GET /users/ada", "", nil, 404, "not_found", "user"},
		"hidden service":     {s.User, "GET /services/secret", "", nil, 404, "not_found", "service"},
		"no such service":    {s.User, "GET /services/nothing", "", nil, 404, "not_found", "service"},
		"password missing":   {s.User, "PUT /users/bob/password", `{"password":"another one that is long"}`, nil, 400, "invalid", "present"},
		"password wrong":     {s.User, "PUT /users/bob/password", `{"password":"another one that is long","current":"no"}`, nil, 403, "denied", "present"},
		"long reason":        {s.User, "DELETE /sessions/a1?reason=" + strings.Repeat("x", 201), "", nil, 400, "invalid", "one line"},
		"reason with a line": {s.User, "DELETE /sessions/a1?reason=a%0Ab", "", nil, 400, "invalid", "one line"},
		"half a login":       {"", "POST /login", `{"user":"bob"}`, nil, 400, "invalid", "either"},
		"foreign page":       {s.Admin, "POST /configuration/reload", "", []string{"Sec-Fetch-Site: cross-site"}, 403, "denied", "site"},
		"why without source": {s.Admin, "POST /why", `{"service":"time"}`, nil, 400, "invalid", "address"},
		"not a request":      {s.Admin, "POST /certificates", `{"kind":"user","name":"bob","request":"x"}`, nil, 400, "invalid", "request"},
		"kind of none":       {s.Admin, "POST /certificates", `{"kind":"node","name":"bob","request":"x"}`, nil, 400, "invalid", "kind"},
		"device away":        {s.Admin, "DELETE /devices/meter-8/link", "", nil, 404, "not_found", "not connected"},
		"no backup":          {s.Admin, "POST /restore", "something", []string{"Content-Type: application/octet-stream"}, 400, "invalid", "no backup"},
		"long filter":        {s.Admin, "GET /audit?id=" + strings.Repeat("x", 300), "", nil, 400, "invalid", "too long"},
		"many kinds":         {s.Admin, "GET /audit?event=" + strings.Repeat("a,", 20), "", nil, 400, "invalid", "events"},
		"event id of none":   {s.Admin, "GET /audit/follow", "", []string{"Last-Event-ID: x"}, 400, "invalid", "cursor"},
	} {
		t.Run(name, func(t *testing.T) {
			answer, body := ask(t, s, c.token, c.line, c.body, c.headers...)
			wantProblem(t, answer, body, c.status, c.kind, c.part)
			if c.status == 401 != (answer.Header.Get("WWW-Authenticate") != "") && c.status != 403 {
				t.Errorf("WWW-Authenticate: %q", answer.Header.Get("WWW-Authenticate"))
			}
			if got := answer.Header.Get("Cache-Control"); got != "no-store" {
				t.Errorf("Cache-Control: %q", got)
			}
		})
	}
}

func TestChallenges(t *testing.T) {
	s := apitest.New(t)
	defer http.DefaultTransport.(*http.Transport).CloseIdleConnections()
	for line, want := range map[string]string{
		"":         `Bearer realm="jackfield"`,
		"x":        `Bearer realm="jackfield", error="invalid_token"`,
		s.ReadOnly: `Bearer realm="jackfield", error="insufficient_scope", scope="write"`,
	} {
		answer, _ := ask(t, s, line, "DELETE /sessions/a1", "")
		if got := answer.Header.Get("WWW-Authenticate"); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

func TestMethods(t *testing.T) {
	s := apitest.New(t)
	defer http.DefaultTransport.(*http.Transport).CloseIdleConnections()
	answer, body := ask(t, s, "", "OPTIONS /sessions/a1", "")
	if got := answer.Header.Get("Allow"); answer.StatusCode != 204 || got != "GET, HEAD, DELETE, OPTIONS" || body != "" {
		t.Errorf("%s, Allow: %s, %q", answer.Status, got, body)
	}
	answer, body = ask(t, s, s.User, "HEAD /me", "")
	if answer.StatusCode != 200 || answer.ContentLength == 0 || body != "" {
		t.Errorf("%s, %d bytes, %q", answer.Status, answer.ContentLength, body)
	}
	answer, body = ask(t, s, s.User, "HEAD /events", "")
	if answer.StatusCode != 200 || answer.Header.Get("Content-Type") != "text/event-stream" || body != "" {
		t.Errorf("%s, %v, %q", answer.Status, answer.Header, body)
	}
	answer, _ = ask(t, s, s.Admin, "HEAD /backup", "")
	if answer.StatusCode != 200 || answer.Header.Get("Content-Type") != "application/octet-stream" {
		t.Errorf("%s, %v", answer.Status, answer.Header)
	}
}

func TestEntityTags(t *testing.T) {
	s := apitest.New(t)
	defer http.DefaultTransport.(*http.Transport).CloseIdleConnections()
	answer, _ := ask(t, s, s.Admin, "GET /users/bob", "")
	tag := answer.Header.Get("ETag")
	answer, body := ask(t, s, s.Admin, "GET /users/bob", "", "If-None-Match: W/"+tag)
	if answer.StatusCode != 304 || body != "" || answer.Header.Get("ETag") != tag {
		t.Errorf("%s: %q", answer.Status, body)
	}
	answer, body = ask(t, s, s.Admin, "PATCH /users/bob", `{"groups":["lab","staff"]}`, "If-Match: "+tag)
	if answer.StatusCode != 200 || !strings.Contains(body, `"staff"`) {
		t.Errorf("%s: %s", answer.Status, body)
	}
	for _, line := range []string{"PATCH /users/bob", "PUT /users/bob/password"} {
		answer, body = ask(t, s, s.Admin, line, map[bool]string{true: `{}`, false: `{"password":"quite another one"}`}[line[:2] == "PA"], "If-Match: "+tag)
		wantProblem(t, answer, body, 412, "invalid", "changed")
	}
	answer, body = ask(t, s, s.Admin, "DELETE /users/bob", "", "If-Match: "+tag)
	wantProblem(t, answer, body, 412, "invalid", "changed")
	answer, _ = ask(t, s, s.Admin, "DELETE /users/bob", "", `If-Match: "x", *`)
	if answer.StatusCode != 204 {
		t.Errorf("If-Match with a star: %s", answer.Status)
	}
}

func TestParts(t *testing.T) {
	s := apitest.New(t)
	defer http.DefaultTransport.(*http.Transport).CloseIdleConnections()
	answer, body := ask(t, s, s.Admin, "GET /sessions?limit=1", "")
	var first api.SessionList
	if err := json.Unmarshal([]byte(body), &first); err != nil || len(first.Sessions) != 1 || first.Sessions[0].ID != "a1" || first.Next == "" {
		t.Fatalf("%s, %v", body, err)
	}
	if want := `<` + api.Base + `/sessions?cursor=` + first.Next + `&limit=1>; rel="next"`; answer.Header.Get("Link") != want {
		t.Errorf("Link: %s, want %s", answer.Header.Get("Link"), want)
	}
	answer, body = ask(t, s, s.Admin, "GET /sessions?limit=1&cursor="+first.Next, "")
	var second api.SessionList
	if err := json.Unmarshal([]byte(body), &second); err != nil || len(second.Sessions) != 1 || second.Sessions[0].ID != "b/2" || second.Next != "" {
		t.Errorf("%s, %v", body, err)
	}
	if got := answer.Header.Get("Link"); got != "" {
		t.Errorf("Link at the end: %s", got)
	}
}

func TestEverybodySeesTheirOwn(t *testing.T) {
	s := apitest.New(t)
	for range 3 {
		s.Record(t, "bob", "console.fpga-1")
		s.Record(t, "ada", "time")
	}
	admin, user := s.Client(t, s.Admin), s.Client(t, s.User)
	sessions, err := user.Sessions(t.Context())
	if err != nil || len(sessions) != 1 || sessions[0].ID != "a1" || sessions[0].Route != "" {
		t.Errorf("sessions: %+v, %v", sessions, err)
	}
	if all, err := admin.Sessions(t.Context()); err != nil || len(all) != 2 || all[0].Route != "dial 127.0.0.1:80" {
		t.Errorf("all sessions: %+v, %v", all, err)
	}
	services, err := user.Services(t.Context())
	if err != nil || len(services) != 2 || services[0].Name != "console.fpga-1" || services[0].Route != "" || services[0].Sessions != 1 {
		t.Errorf("services: %+v, %v", services, err)
	}
	stations, err := user.Stations(t.Context())
	if err != nil || len(stations) != 1 || stations[0].State != api.Away || stations[0].Sessions != 1 {
		t.Errorf("stations: %+v, %v", stations, err)
	}
	records, err := user.Records(t.Context(), api.RecordFilter{}, "", 2)
	if err != nil || len(records.Records) != 2 || records.Next == "" {
		t.Fatalf("records: %+v, %v", records, err)
	}
	more, err := user.Records(t.Context(), api.RecordFilter{}, records.Next, 2)
	if err != nil || len(more.Records) != 1 {
		t.Errorf("more: %+v, %v", more, err)
	}
	for _, r := range slices.Concat(records.Records, more.Records) {
		if !bytes.Contains(r, []byte(`"bob"`)) || bytes.Contains(r, []byte("dial")) || bytes.Contains(r, []byte("acl.")) {
			t.Errorf("bob sees %s", r)
		}
	}
	if all, err := admin.Records(t.Context(), api.RecordFilter{Service: "time", Source: "192.0.2.0/24", Since: apitest.Started}, "", 0); err != nil ||
		len(all.Records) != 3 || !bytes.Contains(all.Records[0], []byte("acl.global[0]")) {
		t.Errorf("all: %+v, %v", all, err)
	}
}

func TestAuditOfCalls(t *testing.T) {
	s := apitest.New(t)
	client := s.Client(t, s.Admin)
	if err := client.Disconnect(t.Context(), "a1", "too long"); err != nil {
		t.Fatal(err)
	}
	if got := s.Fake.WhyCut("a1"); got != "disconnected by admin: too long" {
		t.Errorf("the cause is %q", got)
	}
	stranger := s.Client(t, "x")
	for _, call := range []func(context.Context) error{
		func(ctx context.Context) error { _, err := stranger.Health(ctx); return err },
		func(ctx context.Context) error { _, err := stranger.Document(ctx); return err },
		func(ctx context.Context) error { _, err := stranger.Authority(ctx); return err },
	} {
		if err := call(t.Context()); err != nil {
			t.Error(err)
		}
	}
	_, err := stranger.Me(t.Context())
	calls := s.Fake.Calls()
	if len(calls) != 2 {
		t.Fatalf("%d calls were recorded: %+v", len(calls), calls)
	}
	done, refused := calls[0], calls[1]
	if done.Method != "DELETE" || done.Path != "/api/v1/sessions/{id}" || done.Target != "session a1" || done.Status != 200 ||
		done.Identity.User != "ada" || done.Token == "" || done.Listener != "web" || !done.Source.IsValid() || !done.Local.IsValid() {
		t.Errorf("%+v", done)
	}
	if refused.Status != 401 || refused.ID != jackfield.AsError(err).ID || refused.Details == "" {
		t.Errorf("%+v, but the client got %v", refused, err)
	}
	if !strings.Contains(s.Log.String(), refused.ID) {
		t.Error("the log does not have the id of the refusal")
	}
}

func TestEntranceRulesDecide(t *testing.T) {
	s := apitest.New(t)
	s.Fake.Deny(true)
	_, err := s.Client(t, s.Admin).Me(t.Context())
	if refusal, is := errors.AsType[*jackfield.Error](err); !is || refusal.Kind != jackfield.Denied || refusal.ID != "gateway-1" {
		t.Errorf("%+v", err)
	}
	if calls := s.Fake.Calls(); len(calls) != 1 || calls[0].ID != "gateway-1" || calls[0].Status != 403 {
		t.Errorf("%+v", calls)
	}
}

// A login by password, by one-time token, and a password that its owner changes.
func TestLogin(t *testing.T) {
	s := apitest.New(t)
	s.GivePassword(t)
	anybody := s.Client(t, "")
	grant, err := anybody.Login(t.Context(), api.Login{User: "bob", Password: apitest.Password, Label: "laptop", Lifetime: api.Duration(time.Hour)})
	if err != nil || grant.User != "bob" || grant.Label != "laptop" || grant.Secret == "" || time.Until(grant.Expires) > time.Hour {
		t.Fatalf("%+v, %v", grant, err)
	}
	bob := s.Client(t, grant.Secret)
	me, err := bob.Me(t.Context())
	if err != nil || me.User != "bob" || me.Admin || me.Token != grant.ID || !slices.Equal(me.Groups, []string{"lab"}) {
		t.Errorf("%+v, %v", me, err)
	}
	const better = "a better password"
	if err := bob.SetPassword(t.Context(), "bob", api.PasswordChange{Password: better, Current: apitest.Password}); err != nil {
		t.Error(err)
	}
	if err := bob.Logout(t.Context()); err != nil {
		t.Error(err)
	}
	if _, err := bob.Me(t.Context()); jackfield.AsError(err).Kind != jackfield.Unauthenticated {
		t.Errorf("after the logout: %v", err)
	}
	oneTime := s.OneTime(t)
	exchanged, err := anybody.Login(t.Context(), api.Login{Token: oneTime})
	if err != nil || exchanged.User != "bob" {
		t.Errorf("%+v, %v", exchanged, err)
	}
	if _, err := anybody.Login(t.Context(), api.Login{Token: oneTime}); jackfield.AsError(err).Kind != jackfield.Unauthenticated {
		t.Errorf("a one-time token, the second time: %v", err)
	}
	kept, err := anybody.Login(t.Context(), api.Login{Token: exchanged.Secret, Label: "another label"})
	if err != nil || !reflect.DeepEqual(kept, exchanged) {
		t.Errorf("a token that is none of the kind that is used up: %+v, %v; it is %+v", kept, err, exchanged)
	}
	for _, more := range []api.Login{{Scopes: []identity.Scope{identity.Read}}, {Lifetime: api.Duration(time.Hour)}} {
		more.Token = exchanged.Secret
		if got, err := anybody.Login(t.Context(), more); jackfield.AsError(err).Kind != jackfield.Invalid {
			t.Errorf("as it is, and otherwise: %+v, %v", got, err)
		}
	}
	tokens, err := s.Client(t, s.Admin).Tokens(t.Context(), "bob")
	if err != nil || len(tokens) != 3 { // two of the test's, one that was exchanged
		t.Errorf("%+v, %v", tokens, err)
	}
	for _, secret := range []string{apitest.Password, better, oneTime, grant.Secret, exchanged.Secret, s.Admin, s.User} {
		if strings.Contains(s.Log.String(), secret) {
			t.Errorf("the log has the secret %q", secret)
		}
	}
}

func TestStopping(t *testing.T) {
	s := apitest.New(t)
	client := s.Client(t, "")
	if h, err := client.Health(t.Context()); err != nil || h.Status != "ok" {
		t.Errorf("%+v, %v", h, err)
	}
	s.Stop("for a test")
	if h, err := client.Health(t.Context()); err != nil || h.Status != "stopping" {
		t.Errorf("%+v, %v", h, err)
	}
}

// On the Unix socket, who may connect is an administrator.
func TestPeer(t *testing.T) {
	s := apitest.New(t)
	for name, err := range map[string]error{"admin": nil, "stranger": errors.New("user 99 is neither root nor the server's own")} {
		t.Run(name, func(t *testing.T) {
			client := serveSocket(t, s.Handler(api.Entrance{Listener: "admin.sock", Protocol: "unix", Peer: func(*http.Request) error { return err }}))
			me, got := client.Me(t.Context())
			if err == nil {
				if got != nil || !me.Admin || me.Proof != "peer" || me.User != "" {
					t.Errorf("%+v, %v", me, got)
				}
				if _, got := client.AddToken(t.Context(), api.NewToken{User: "bob"}); got != nil {
					t.Error(got)
				}
				if _, got := client.AddToken(t.Context(), api.NewToken{}); jackfield.AsError(got).Kind != jackfield.Invalid {
					t.Errorf("a token for nobody: %v", got)
				}
				if tokens, got := client.Tokens(t.Context(), ""); got != nil || len(tokens) != len(s.Directory.Tokens("")) {
					t.Errorf("%+v, %v", tokens, got)
				}
				return
			}
			if jackfield.AsError(got).Kind != jackfield.Denied {
				t.Errorf("%v", got)
			}
		})
	}
}

// A backup that breaks off cannot be taken for one that is whole.
func TestBackupBreaksOff(t *testing.T) {
	s := apitest.NewWith(t, apitest.Setup{Options: func(o *api.Options) { o.Backups = broken{o.Backups} }})
	var to bytes.Buffer
	err := s.Client(t, s.Admin).Backup(t.Context(), &to)
	if err == nil || to.Len() > 2*len(half) {
		t.Errorf("%d bytes, %v", to.Len(), err)
	}
	if calls := s.Fake.Calls(); len(calls) != 1 || !strings.Contains(calls[0].Details, "disk") {
		t.Errorf("%+v", calls)
	}
}

const half = "half of everything"

type broken struct{ api.Backups }

func (broken) Backup(_ context.Context, to io.Writer) error {
	io.WriteString(to, half)
	return errors.New("the disk is gone")
}

// A directory of which somebody else is always faster, and a journal whose store is away.
type contested struct{ api.Directory }

func (contested) ChangeUser(context.Context, string, uint64, identity.Change) (identity.User, error) {
	return identity.User{}, jackfield.Refuse(jackfield.Busy, "it has another revision", store.ErrConflict)
}

type away struct{ api.Journal }

func (away) Query(context.Context, journal.Filter, journal.Cursor, int) (journal.Page, error) {
	return journal.Page{}, fmt.Errorf("no leader: %w", store.ErrUnavailable)
}

func TestOthersAreFaster(t *testing.T) {
	s := apitest.NewWith(t, apitest.Setup{Options: func(o *api.Options) { o.Directory = contested{o.Directory} }})
	defer http.DefaultTransport.(*http.Transport).CloseIdleConnections()
	answer, body := ask(t, s, s.Admin, "PATCH /users/bob", "{}")
	wantProblem(t, answer, body, 409, "busy", "revision")
	answer, body = ask(t, s, s.Admin, "PATCH /users/bob", "{}", "If-Match: *")
	wantProblem(t, answer, body, 412, "invalid", "changed")
	answer, body = ask(t, s, s.Admin, "PUT /groups/staff/members/bob", "")
	wantProblem(t, answer, body, 409, "busy", "revision")
}

func TestStoreIsAway(t *testing.T) {
	s := apitest.NewWith(t, apitest.Setup{Options: func(o *api.Options) { o.Journal = away{} }})
	defer http.DefaultTransport.(*http.Transport).CloseIdleConnections()
	answer, body := ask(t, s, s.Admin, "GET /audit", "")
	wantProblem(t, answer, body, 503, "unavailable", "store")
	if got := answer.Header.Get("Retry-After"); got != "1" {
		t.Errorf("Retry-After: %q", got)
	}
	if !strings.Contains(s.Log.String(), "no leader") || strings.Contains(body, "no leader") {
		t.Error("the details belong into the log, and not into the answer")
	}
}

// Who tries passwords is told to wait.
func TestGuessing(t *testing.T) {
	s := apitest.New(t)
	defer http.DefaultTransport.(*http.Transport).CloseIdleConnections()
	for range 30 {
		answer, body := ask(t, s, "", "POST /login", `{"user":"bob","password":"a guess"}`)
		if answer.StatusCode == http.StatusTooManyRequests {
			wantProblem(t, answer, body, 429, "limited", "")
			if wait, err := strconv.Atoi(answer.Header.Get("Retry-After")); err != nil || wait < 1 {
				t.Errorf("Retry-After: %q", answer.Header.Get("Retry-After"))
			}
			return
		}
		wantProblem(t, answer, body, 401, "unauthenticated", "")
	}
	t.Error("30 guesses, and no end")
}

// Who takes a token's secret for its id does not find it in the audit.
func TestSecretsInPaths(t *testing.T) {
	s := apitest.New(t)
	client := s.Client(t, s.Admin)
	if err := client.RemoveToken(t.Context(), s.User); jackfield.AsError(err).Kind != jackfield.NotFound {
		t.Fatal(err)
	}
	calls := s.Fake.Calls()
	if last := calls[len(calls)-1]; last.Target != "token (hidden)" {
		t.Errorf("the audit has %q", last.Target)
	}
}
