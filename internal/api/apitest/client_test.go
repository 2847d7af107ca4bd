package apitest_test

import (
	"bytes"
	"context"
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"

	"jackfield"
	"jackfield/internal/api"
	"jackfield/internal/api/apitest"
)

// The client can do everything that the document has, and the server understands it as the document says.
func TestClientDoesEverything(t *testing.T) {
	c := newContract(t)
	s := apitest.NewWith(t, apitest.Setup{Wrap: c.check(t)})
	s.GivePassword(t)
	s.Record(t, "bob", "time")
	admin, bob := s.Client(t, s.Admin), s.Client(t, s.User)
	const serial = "00000000000000000000000000000001"
	var grant api.Grant
	var tag string
	for _, step := range []step{
		{"Health", func(ctx context.Context) error { return drop(bob.Health(ctx)) }},
		{"Document", func(ctx context.Context) error { return drop(bob.Document(ctx)) }},
		{"Version", func(ctx context.Context) error { return drop(bob.Version(ctx)) }},
		{"Status", func(ctx context.Context) error { return drop(bob.Status(ctx)) }},
		{"Me", func(ctx context.Context) error { return drop(bob.Me(ctx)) }},
		{"Services", func(ctx context.Context) error { return drop(bob.Services(ctx)) }},
		{"Service", func(ctx context.Context) error { return drop(bob.Service(ctx, "Console.FPGA-1")) }},
		{"Stations", func(ctx context.Context) error { return drop(bob.Stations(ctx)) }},
		{"Station", func(ctx context.Context) error { return drop(bob.Station(ctx, "fpga-1")) }},
		{"Sessions", func(ctx context.Context) error { return drop(admin.Sessions(ctx)) }},
		{"Session", func(ctx context.Context) error { return drop(admin.Session(ctx, "b/2")) }},
		{"Disconnect", func(ctx context.Context) error { return admin.Disconnect(ctx, "b/2", "täglich & more") }},
		{"Records", func(ctx context.Context) error {
			return drop(bob.Records(ctx, api.RecordFilter{Since: apitest.Started, Until: time.Now(), Events: "open"}, "", 10))
		}},
		{"AddUser", func(ctx context.Context) error {
			return drop(admin.AddUser(ctx, api.NewUser{Name: "eve"}))
		}},
		{"Users", func(ctx context.Context) error { return drop(admin.Users(ctx)) }},
		{"AddMember", func(ctx context.Context) error { return admin.AddMember(ctx, "staff", "eve") }},
		{"Groups", func(ctx context.Context) error { return drop(admin.Groups(ctx)) }},
		{"Group", func(ctx context.Context) error { return drop(admin.Group(ctx, "staff")) }},
		{"RemoveMember", func(ctx context.Context) error { return admin.RemoveMember(ctx, "staff", "eve") }},
		{"User", func(ctx context.Context) (err error) { _, tag, err = admin.User(ctx, "eve"); return err }},
		{"ChangeUser", func(ctx context.Context) error {
			yes := true
			return drop(admin.ChangeUser(ctx, "eve", tag, api.UserChange{Disabled: &yes}))
		}},
		{"SetPassword", func(ctx context.Context) error {
			return admin.SetPassword(ctx, "eve", api.PasswordChange{Password: "still long enough"})
		}},
		{"RemoveUser", func(ctx context.Context) error { return admin.RemoveUser(ctx, "eve", "") }},
		{"Tokens", func(ctx context.Context) error { return drop(admin.Tokens(ctx, "bob")) }},
		{"AddToken", func(ctx context.Context) (err error) {
			grant, err = bob.AddToken(ctx, api.NewToken{Label: "x", Lifetime: api.Duration(90 * time.Minute)})
			return err
		}},
		{"Token", func(ctx context.Context) error { return drop(bob.Token(ctx, grant.ID)) }},
		{"RemoveToken", func(ctx context.Context) error { return bob.RemoveToken(ctx, grant.ID) }},
		{"Authority", func(ctx context.Context) error { return drop(bob.Authority(ctx)) }},
		{"RetireAuthority", func(ctx context.Context) error { return drop(admin.RetireAuthority(ctx)) }},
		{"RotateAuthority", func(ctx context.Context) error { return drop(admin.RotateAuthority(ctx)) }},
		{"IssueCertificate", func(ctx context.Context) error {
			return drop(admin.IssueCertificate(ctx, api.CertificateRequest{Request: "-----BEGIN CERTIFICATE REQUEST-----", Kind: "user", Name: "bob"}))
		}},
		{"Certificates", func(ctx context.Context) error { return drop(admin.Certificates(ctx)) }},
		{"RevokeCertificate", func(ctx context.Context) error { return admin.RevokeCertificate(ctx, serial) }},
		{"Devices", func(ctx context.Context) error { return drop(admin.Devices(ctx)) }},
		{"Device", func(ctx context.Context) error { return drop(admin.Device(ctx, "meter-8")) }},
		{"CutDevice", func(ctx context.Context) error { return admin.CutDevice(ctx, "meter-7", "") }},
		{"Agents", func(ctx context.Context) error { return drop(admin.Agents(ctx)) }},
		{"Agent", func(ctx context.Context) error { return drop(admin.Agent(ctx, "roof-1")) }},
		{"EnrollAgent", func(ctx context.Context) error {
			return drop(admin.EnrollAgent(ctx, api.NewAgent{Name: "edge-8", Offers: &[]string{"console.*"}, Lifetime: api.Duration(time.Hour)}))
		}},
		{"ChangeAgent", func(ctx context.Context) error {
			name := "edge-9"
			return drop(admin.ChangeAgent(ctx, "edge-8", api.AgentChange{Name: &name}))
		}},
		{"RemoveAgent", func(ctx context.Context) error { return admin.RemoveAgent(ctx, "edge-9") }},
		{"JoinAgent", func(ctx context.Context) error {
			return drop(s.Client(t, "").JoinAgent(ctx, api.AgentJoin{Token: apitest.JoinToken, Request: "x"}))
		}},
		{"DrainAgent", func(ctx context.Context) error { return admin.DrainAgent(ctx, "roof-1", "täglich & more") }},
		{"ReloadAgent", func(ctx context.Context) error { return admin.ReloadAgent(ctx, "roof-1") }},
		{"OpenTunnel", func(ctx context.Context) error {
			return admin.OpenTunnel(ctx, "roof-1", api.AgentTunnel{LocalAddress: "127.0.0.1", LocalPort: 22})
		}},
		{"Why", func(ctx context.Context) error {
			return drop(admin.Why(ctx, api.Question{Service: "time", Source: netip.MustParseAddr("192.0.2.7")}))
		}},
		{"CheckConfiguration", func(ctx context.Context) error {
			return errors.Join(drop(admin.CheckConfiguration(ctx, nil)), drop(admin.CheckConfiguration(ctx, strings.NewReader("bad"))))
		}},
		{"Reload", func(ctx context.Context) error { return drop(admin.Reload(ctx)) }},
		{"Backup", func(ctx context.Context) error {
			var to bytes.Buffer
			return errors.Join(admin.Backup(ctx, &to), admin.Restore(ctx, &to))
		}},
		{"Login", func(ctx context.Context) error {
			return drop(bob.Login(ctx, api.Login{User: "bob", Password: apitest.Password}))
		}},
		{"Logout", func(ctx context.Context) error { return bob.Logout(ctx) }},
		{"Events", func(ctx context.Context) error {
			for _, err := range admin.Events(ctx, "zzzz-1") {
				if errors.Is(err, api.ErrEventsMissing) {
					return nil
				}
				return err
			}
			return errors.New("no event")
		}},
		{"FollowRecords", func(ctx context.Context) error {
			time.AfterFunc(0, func() { s.Stop("enough") })
			for _, err := range admin.FollowRecords(ctx, api.RecordFilter{}, "") {
				if errors.As(err, new(*api.StreamEnded)) {
					return nil
				}
				return err
			}
			return errors.New("no event")
		}},
	} {
		if err := step.do(t.Context()); err != nil {
			t.Errorf("%s: %v", step.name, err)
		}
	}
	for _, item := range c.document.Paths.Map() {
		for _, o := range item.Operations() {
			if !c.done(o.OperationID) {
				t.Errorf("the client has not done %s", o.OperationID)
			}
		}
	}
	if _, err := bob.Me(t.Context()); jackfield.AsError(err).Kind != jackfield.Unauthenticated {
		t.Errorf("after the logout: %v", err)
	}
}

// A step is something that a client does.
type step struct {
	name string
	do   func(context.Context) error
}

func drop[T any](_ T, err error) error { return err }
