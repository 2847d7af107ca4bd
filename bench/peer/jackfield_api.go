//go:build linux

package peer

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"

	"jackfield/bench/process"
)

// JackfieldAPI is Jackfield with its API on an "https" listener, beside what Jackfield has.
type JackfieldAPI struct {
	Jackfield
	Users        []string
	PasswordHash string // of all of them
}

// Command leaves everything at its default.
func (j JackfieldAPI) Command(p Place) (process.Spec, error) {
	spec, err := j.Jackfield.Command(p)
	if err != nil {
		return spec, err
	}
	var b strings.Builder
	fmt.Fprintf(&b, jackfieldAPIConfig, p.API)
	for _, user := range j.Users {
		fmt.Fprintf(&b, jackfieldUserConfig, user, j.PasswordHash)
	}
	return spec, p.append(configName, b.String())
}

// configName is the file that Jackfield's own Command writes.
const configName = "jackfield.hcl"

const jackfieldAPIConfig = `
listener "api" {
  protocol = "https"
  listen   = %q
}
`

const jackfieldUserConfig = `
user %q {
  password_hash = %q
}
`

// API is the address of the instance's API, and whom to trust with it. The instance must be a JackfieldAPI.
func (i *Instance) API(ctx context.Context) (address string, roots *x509.CertPool, err error) {
	j, ok := i.peer.(JackfieldAPI)
	if !ok {
		return "", nil, fmt.Errorf("%s has no API", i.peer.Name())
	}
	ask := exec.CommandContext(ctx, j.Binary, "certificate", "authority", "--config", filepath.Join(i.place.Dir, configName))
	text, err := ask.Output()
	if err != nil {
		return "", nil, fmt.Errorf("ask jackfield for its authority's certificate: %w", err)
	}
	roots = x509.NewCertPool()
	if !roots.AppendCertsFromPEM(text) {
		return "", nil, errors.New("what jackfield gives for its authority's certificate is none")
	}
	return i.place.API, roots, nil
}
