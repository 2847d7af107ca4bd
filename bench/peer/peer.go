//go:build linux

// Package peer knows the programs that forward plain TCP, Jackfield among them: where each is found, its version, and the
// configuration that makes it pass one port on to one service.
package peer

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"jackfield/bench/process"
)

// A Peer is a program that can forward TCP.
type Peer interface {
	Name() string

	// Installed says what is missing, nil if nothing is.
	Installed() error

	// Version is one line as the program tells it.
	Version(ctx context.Context) (string, error)

	// Command writes what configuration the program needs and returns how to start it in the foreground.
	Command(p Place) (process.Spec, error)
}

// A Place is where one instance of a peer runs.
type Place struct {
	Dir     string // its own, and writable for it
	Listen  string // where it has to listen, host:port
	Link    string // for a Tunnel: where it has to listen for its device, host:port
	Forward string // for a peer that forwards without a name, beside Listen: where it has to listen for that, host:port
	API     string // for a JackfieldAPI: where it has to listen for calls, host:port
	Secure  string // for a SecurePeer: where it has to listen with TLS, host:port
	Service string // where it has to forward to, host:port
	User    User
}

// write puts a configuration file into the place and returns its name.
func (p Place) write(name, text string) (string, error) {
	path := filepath.Join(p.Dir, name)
	return path, os.WriteFile(path, []byte(text), 0o644)
}

// append adds to a file in the place.
func (p Place) append(name, text string) error {
	file, err := os.OpenFile(filepath.Join(p.Dir, name), os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		return err
	}
	_, err = file.WriteString(text)
	return errors.Join(err, file.Close())
}

// bring copies a program into the place, and returns its name: whoever the peer runs as may not reach where it is installed.
func (p Place) bring(program string) (string, error) {
	text, err := os.ReadFile(program)
	if err != nil {
		return "", err
	}
	return p.brought(program), os.WriteFile(p.brought(program), text, 0o755)
}

func (p Place) brought(program string) string { return filepath.Join(p.Dir, filepath.Base(program)) }

// ErrNotInstalled is what Installed wraps.
var ErrNotInstalled = errors.New("not installed")

// find looks for a program where daemons are, which is not in everybody's PATH.
func find(name string) (string, error) {
	if path, err := exec.LookPath(name); err == nil {
		return path, nil
	}
	path := filepath.Join("/usr/sbin", name)
	if _, err := os.Stat(path); err != nil {
		return "", fmt.Errorf("%s is %w", name, ErrNotInstalled)
	}
	return path, nil
}

// findUnpacked looks for a program where find does, and at a path of what was put aside under a name: there
// test/peers/install.sh unpacks packages, and bench/peers.sh builds.
func findUnpacked(name, path string) (string, error) {
	program, err := find(filepath.Base(path))
	if err == nil {
		return program, nil
	}
	dir := os.Getenv("JACKFIELD_PEERS")
	if dir == "" {
		dir = ".cache/peers"
	}
	program, err = filepath.Abs(filepath.Join(dir, name, path))
	if err != nil {
		return "", err
	}
	if _, err := os.Stat(program); err != nil {
		return "", fmt.Errorf("%s is %w: run make peers, and set JACKFIELD_PEERS to the full path of .cache/peers",
			filepath.Base(path), ErrNotInstalled)
	}
	return program, nil
}

// versionLine runs a program and returns the first line of what it prints that contains the word.
func versionLine(ctx context.Context, word, path string, args ...string) (string, error) {
	out, err := exec.CommandContext(ctx, path, args...).CombinedOutput()
	if _, exited := errors.AsType[*exec.ExitError](err); err != nil && !exited { // xinetd ends with status 1
		return "", fmt.Errorf("%s %s: %w", path, strings.Join(args, " "), err)
	}
	for line := range strings.Lines(string(out)) {
		if strings.Contains(line, word) {
			return strings.TrimSpace(line), nil
		}
	}
	return "", fmt.Errorf("%s %s printed no version", path, strings.Join(args, " "))
}
