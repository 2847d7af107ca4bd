package membership

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"

	"jackfield"
	"jackfield/internal/api"
	"jackfield/internal/client"
	"jackfield/internal/enrolment"
	"jackfield/internal/privatefile"
)

// An Invitation is what a machine needs to join a server.
type Invitation struct {
	Server string // URL; without a scheme, it is https
	Token  string // that "jackfield agent enroll" has printed
	Dir    string // is made, if it is not there

	// Again replaces a membership that is in the directory already.
	Again bool
}

// Join makes a key, has the server sign a certificate for it, and keeps both. The token is used up only when all that can be known
// before is in order. Errors are sentences that say what to do.
func Join(ctx context.Context, i Invitation) (*Membership, error) {
	token, err := enrolment.ParseToken(i.Token)
	if err != nil {
		return nil, err
	}
	if i.Server, err = client.ParseURL(i.Server); err != nil {
		return nil, err
	}
	m := &Membership{dir: i.Dir, about: about{Server: i.Server}}
	if m.base, err = parseServer(i.Server); err != nil {
		return nil, err
	}
	if err := i.prepare(); err != nil {
		return nil, err
	}
	newKey := filepath.Join(i.Dir, keyFile+".new")
	if err := m.makeKey(newKey); err != nil {
		return nil, err
	}
	defer os.Remove(newKey) // unless it has become the key
	joined, err := m.ask(ctx, token)
	if err != nil {
		return nil, err
	}
	c, err := m.check([]byte(joined.Certificate), []byte(joined.Authorities))
	if err == nil && !holds(joined.Authorities, token.Fingerprint) {
		err = errors.New("its authority is not the one that has made the token")
	}
	if err != nil {
		return nil, fmt.Errorf("%s has answered with what cannot be used: %w", i.Server, err)
	}
	m.about.Name = joined.Name
	m.current.Store(c)
	if err := m.keep(newKey, joined); err != nil {
		return nil, fmt.Errorf("the token is used up, but what came for it cannot be kept: %w: enrol the agent again", err)
	}
	return m, nil
}

// parseServer wants a server that agents can reach: their certificates need TLS.
func parseServer(text string) (*url.URL, error) {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "https" || u.Hostname() == "" {
		return nil, fmt.Errorf("an agent reaches its server by https, such as https://jackfield.example.org, not by %q", text)
	}
	return u, nil
}

// prepare makes the directory, and finds out whether somebody has joined there.
func (i *Invitation) prepare() error {
	if err := makeDir(i.Dir); err != nil {
		return err
	}
	_, err := os.Lstat(filepath.Join(i.Dir, agentFile))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case i.Again:
		return nil
	}
	if old, err := load(i.Dir); err == nil {
		return fmt.Errorf("%s holds the membership of %s at %s: say --again to replace it, or name another directory with --state",
			i.Dir, old.Name(), old.Server())
	}
	return fmt.Errorf("%s holds a membership, which cannot be read: say --again to replace it, or name another directory with --state", i.Dir)
}

func (m *Membership) makeKey(path string) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	text, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	m.key = key
	return privatefile.Replace(path, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: text}))
}

// ask finds out whether the server is the one that has made the token, and shows it that.
func (m *Membership) ask(ctx context.Context, token enrolment.Token) (joined api.AgentMembership, err error) {
	met, err := client.Meet(ctx, m.about.Server)
	if err != nil {
		return joined, err
	}
	o := api.ClientOptions{URL: m.about.Server}
	pinned, err := met.Pin(token.Fingerprint)
	switch {
	case err == nil:
		o.Roots = x509.NewCertPool()
		o.Roots.AppendCertsFromPEM([]byte(pinned))
	case met.Known:
		m.about.SystemAuthorities = true
	default:
		return joined, fmt.Errorf("%w: the token is for another one; nothing was sent", err)
	}
	request, err := m.Request()
	if err != nil {
		return joined, err
	}
	server, err := api.NewClient(o)
	if err != nil {
		return joined, err
	}
	defer server.Close()
	joined, err = server.JoinAgent(ctx, api.AgentJoin{Token: token.Text, Request: string(request)})
	if refusal, is := errors.AsType[*jackfield.Error](err); is {
		err = fmt.Errorf("%s: %w", m.about.Server, refusal)
	}
	return joined, err
}

func holds(authorities, fingerprint string) bool {
	for rest := []byte(authorities); ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			return false
		}
		if client.Fingerprint(&x509.Certificate{Raw: block.Bytes}) == fingerprint {
			return true
		}
	}
}

// keep writes what makes a membership. Until the last file is there, it is none.
func (m *Membership) keep(newKey string, joined api.AgentMembership) error {
	text, err := json.MarshalIndent(m.about, "", "  ")
	if err != nil {
		return err
	}
	if err := os.Remove(filepath.Join(m.dir, agentFile)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := os.Rename(newKey, filepath.Join(m.dir, keyFile)); err != nil {
		return err
	}
	if err := m.writeCredentials([]byte(joined.Certificate), []byte(joined.Authorities)); err != nil {
		return err
	}
	return privatefile.Replace(filepath.Join(m.dir, agentFile), append(text, '\n'))
}
