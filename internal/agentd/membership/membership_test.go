package membership_test

import (
	"context"
	"crypto/tls"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"log"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"jackfield"
	"jackfield/internal/agentd/membership"
	"jackfield/internal/api"
	"jackfield/internal/authority"
	"jackfield/internal/enrolment"
	"jackfield/internal/store/memory"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A fake server does what one does for agents that join.
type fake struct {
	*httptest.Server
	authority *authority.Authority
	roll      *enrolment.Roll
	lifetime  time.Duration
	spoil     func(a *api.AgentMembership) // what it answers
	request   []byte                       // the last one
}

func newFake(t *testing.T) *fake {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	a, err := authority.Open(authority.Options{Dir: filepath.Join(t.TempDir(), "ca"), Log: log})
	if err != nil {
		t.Fatal(err)
	}
	s := memory.New()
	roll, err := enrolment.Open(t.Context(), s, log)
	if err != nil {
		t.Fatal(err)
	}
	f := &fake{authority: a, roll: roll, lifetime: 90 * 24 * time.Hour, spoil: func(*api.AgentMembership) {}}
	f.serve(t)
	t.Cleanup(func() { f.Close(); roll.Close(); s.Close() })
	return f
}

func (f *fake) serve(t *testing.T) {
	t.Helper()
	certificate, err := f.authority.ServerCertificate("127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	config, err := f.authority.TLSConfig(authority.Listener{
		Certificates: []authority.Certificate{certificate}, Protocols: []string{"http/1.1", "jackfield-agent/1"},
	})
	if err != nil {
		t.Fatal(err)
	}
	f.Server = httptest.NewUnstartedServer(f)
	f.Config.ErrorLog = discard()
	f.Listener = tls.NewListener(f.Listener, config)
	f.Start()
	f.URL = strings.Replace(f.URL, "http:", "https:", 1)
}

func (f *fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodGet {
		answer(w, http.StatusOK, api.Authority{Bundle: string(f.authority.Bundle()), Fingerprint: f.authority.Fingerprint()})
		return
	}
	var j api.AgentJoin
	if err := json.NewDecoder(r.Body).Decode(&j); err != nil {
		panic(err)
	}
	f.request = []byte(j.Request)
	joined, err := f.join(r.Context(), j)
	if refusal := jackfield.AsError(err); err != nil {
		answer(w, http.StatusUnauthorized, api.Problem{Kind: refusal.Kind, Detail: refusal.Message, ID: "id-1"})
		return
	}
	f.spoil(&joined)
	answer(w, http.StatusCreated, joined)
}

func (f *fake) join(ctx context.Context, j api.AgentJoin) (joined api.AgentMembership, err error) {
	a, err := f.roll.Find(j.Token)
	if err != nil {
		return joined, err
	}
	signed, err := f.authority.Sign([]byte(j.Request), authority.Subject{Kind: authority.Agent, Name: a.Name}, f.lifetime)
	if err != nil {
		return joined, err
	}
	_, _, err = f.roll.Join(ctx, j.Token, signed.Serial)
	return api.AgentMembership{
		Name: a.Name, Certificate: string(signed.PEM), Authorities: string(f.authority.Bundle()), Expires: signed.NotAfter,
	}, err
}

func answer(w http.ResponseWriter, status int, value any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(value)
}

func (f *fake) token(t *testing.T) string {
	t.Helper()
	token, _, err := f.roll.Create(t.Context(), enrolment.New{Name: "edge-7", Authority: f.authority.Fingerprint(), Again: true})
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func (f *fake) invitation(t *testing.T) membership.Invitation {
	t.Helper()
	return membership.Invitation{Server: f.URL, Token: f.token(t), Dir: filepath.Join(t.TempDir(), "state", "agent")}
}

func join(t *testing.T, i membership.Invitation) *membership.Membership {
	t.Helper()
	m, err := membership.Join(t.Context(), i)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func wantError(t *testing.T, err error, part string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), part) {
		t.Errorf("got %v, want %q", err, part)
	}
}

// connect shows the certificate to the server, whose handshake verifies it.
func connect(t *testing.T, f *fake, m *membership.Membership) (tls.ConnectionState, error) {
	t.Helper()
	conn, err := tls.Dial("tcp", m.Address(), m.TLS("jackfield-agent/1"))
	if err != nil {
		return tls.ConnectionState{}, err
	}
	defer conn.Close()
	if m.Server() != f.URL {
		t.Errorf("the server is %s, not %s", m.Server(), f.URL)
	}
	return conn.ConnectionState(), nil
}

func TestJoinAndLoad(t *testing.T) {
	f := newFake(t)
	i := f.invitation(t)
	_, err := membership.Load(i.Dir)
	if !errors.Is(err, membership.ErrNone) {
		t.Errorf("before: %v", err)
	}
	joined := join(t, i)
	loaded, err := membership.Load(i.Dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range []*membership.Membership{joined, loaded} {
		if m.Name() != "edge-7" || m.Roots() == nil || m.Check(time.Now()) != nil {
			t.Errorf("%s, %v", m.Name(), m.Check(time.Now()))
		}
		if c, err := connect(t, f, m); err != nil || c.NegotiatedProtocol != "jackfield-agent/1" || m.Rotated(c) {
			t.Errorf("%s, rotated %v, %v", c.NegotiatedProtocol, m.Rotated(c), err)
		}
	}
	files, err := os.ReadDir(i.Dir)
	if err != nil || len(files) != 4 {
		t.Errorf("%v, %v", files, err)
	}
}

// A membership is not lost by joining, unless that was meant.
func TestJoinAgain(t *testing.T) {
	f := newFake(t)
	i := f.invitation(t)
	first := join(t, i)
	i.Token = f.token(t)
	_, err := membership.Join(t.Context(), i)
	wantError(t, err, i.Dir+" holds the membership of edge-7 at "+f.URL+": say --again")
	kept, err := membership.Load(i.Dir)
	if err != nil || kept.Certificate().Leaf.SerialNumber.Cmp(first.Certificate().Leaf.SerialNumber) != 0 {
		t.Errorf("%v", err)
	}
	i.Again = true
	second := join(t, i)
	if second.Certificate().Leaf.SerialNumber.Cmp(first.Certificate().Leaf.SerialNumber) == 0 {
		t.Error("the certificate is the old one")
	}
	if kept, err = membership.Load(i.Dir); err != nil || !kept.Certificate().Leaf.Equal(second.Certificate().Leaf) {
		t.Errorf("%v", err)
	}
	_, err = membership.Join(t.Context(), i) // with the used token
	wantError(t, err, f.URL+": the token is not good")
	if _, err := membership.Load(i.Dir); err != nil {
		t.Errorf("what is there was lost: %v", err)
	}
}

func TestJoinIsRefused(t *testing.T) {
	f, other := newFake(t), newFake(t)
	good := f.invitation(t)
	for name, c := range map[string]struct {
		change func(*membership.Invitation)
		want   string
	}{
		"no token":       {func(i *membership.Invitation) { i.Token = "" }, "no token to join with"},
		"half a token":   {func(i *membership.Invitation) { i.Token = i.Token[:30] }, "cut off"},
		"no server":      {func(i *membership.Invitation) { i.Server = "ftp://x" }, "not the address of a server"},
		"http":           {func(i *membership.Invitation) { i.Server = "http://127.0.0.1:1" }, "by https"},
		"another server": {func(i *membership.Invitation) { i.Token = other.token(t) }, "is not the server that it should be"},
	} {
		t.Run(name, func(t *testing.T) {
			i := good
			c.change(&i)
			_, err := membership.Join(t.Context(), i)
			wantError(t, err, c.want)
			if strings.Contains(err.Error(), good.Token) {
				t.Error("the error has the token")
			}
			if left, err := os.ReadDir(i.Dir); len(left) > 0 || err != nil && !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("left are %v, %v", left, err)
			}
		})
	}
	join(t, good) // the token was not used up by any of these
}

// What a server that holds the pinned authority's key answers is still looked at.
func TestStrangeAnswers(t *testing.T) {
	f, other := newFake(t), newFake(t)
	theirs := join(t, other.invitation(t))
	for name, c := range map[string]struct {
		spoil func(*api.AgentMembership)
		want  string
	}{
		"no certificate":     {func(a *api.AgentMembership) { a.Certificate = "x" }, "none in PEM"},
		"no authorities":     {func(a *api.AgentMembership) { a.Authorities = "" }, "no certificates of authorities"},
		"others' authority":  {func(a *api.AgentMembership) { a.Authorities = string(other.authority.Bundle()) }, "certificate"},
		"another key":        {func(a *api.AgentMembership) { a.Certificate = pemOf(t, theirs) }, "not for the agent's private key"},
		"a device's":         {func(a *api.AgentMembership) { a.Certificate = deviceOf(t, f) }, "not of an agent"},
		"not the pinned one": {func(a *api.AgentMembership) { replaceAuthority(t, f, a) }, "not the one that has made the token"},
	} {
		t.Run(name, func(t *testing.T) {
			f.spoil = c.spoil
			i := f.invitation(t)
			_, err := membership.Join(t.Context(), i)
			wantError(t, err, c.want)
			if _, err := membership.Load(i.Dir); !errors.Is(err, membership.ErrNone) {
				t.Errorf("it is kept: %v", err)
			}
		})
	}
}

// A renewal is due after two thirds of the life, and replaces certificate and authorities; a bad one changes nothing.
func TestRenew(t *testing.T) {
	f := newFake(t)
	i := f.invitation(t)
	m := join(t, i)
	before := m.Certificate().Leaf
	third := before.NotAfter.Sub(before.NotBefore) / 3
	if m.NeedsRenewal(before.NotBefore.Add(2*third-time.Minute)) || !m.NeedsRenewal(before.NotBefore.Add(2*third+time.Minute)) {
		t.Error("a renewal is due at another time than after two thirds")
	}
	wantError(t, m.Check(before.NotBefore.Add(-time.Hour)), "is it right?")
	wantError(t, m.Check(before.NotAfter.Add(time.Hour)), "jackfield agent enroll edge-7 --again")

	if err := f.authority.Rotate(); err != nil {
		t.Fatal(err)
	}
	state, err := connect(t, f, m)
	if err != nil || !m.Rotated(state) {
		t.Errorf("rotated: %v, %v", m.Rotated(state), err)
	}
	if err := m.Save([]byte("x"), f.authority.Bundle()); err == nil || !m.Certificate().Leaf.Equal(before) {
		t.Errorf("%v", err)
	}
	request, err := m.Request()
	if err != nil {
		t.Fatal(err)
	}
	signed, err := f.authority.Sign(request, authority.Subject{Kind: authority.Agent, Name: "roof"}, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Save(signed.PEM, f.authority.Bundle()); err != nil {
		t.Fatal(err)
	}
	if err := f.authority.RetireOld(); err != nil {
		t.Fatal(err)
	}
	loaded, err := membership.Load(i.Dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range []*membership.Membership{m, loaded} {
		if state, err := connect(t, f, m); err != nil || m.Rotated(state) || m.Name() != "roof" {
			t.Errorf("%s, rotated %v, %v", m.Name(), m.Rotated(state), err)
		}
	}
}

// A membership of which a part is missing or damaged says what to do.
func TestDamaged(t *testing.T) {
	f := newFake(t)
	for file, content := range map[string]string{
		"agent.key": "x", "agent.crt": "x", "ca.pem": "x", "agent.json": "{", "ca.pem ": "",
	} {
		i := f.invitation(t)
		join(t, i)
		path := filepath.Join(i.Dir, strings.TrimSpace(file))
		if content == "" {
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
		} else if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := membership.Load(i.Dir)
		wantError(t, err, "enrol the agent again")
		i.Token = f.token(t)
		_, err = membership.Join(t.Context(), i)
		wantError(t, err, "say --again")
		i.Again = true
		join(t, i)
	}
}

func TestFingerprintIsThatOfTheToken(t *testing.T) {
	f := newFake(t)
	token, err := enrolment.ParseToken(f.token(t))
	if err != nil || token.Fingerprint != f.authority.Fingerprint() {
		t.Errorf("%v, %v", token, err)
	}
	if _, err := hex.DecodeString(token.Fingerprint); err != nil {
		t.Error(err)
	}
}

func discard() *log.Logger { return log.New(io.Discard, "", 0) }
