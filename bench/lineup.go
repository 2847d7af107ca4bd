//go:build linux

package main

import (
	"bytes"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"jackfield/bench/backend"
	"jackfield/bench/peer"
)

// peersScript installs what is missing.
//
//go:embed peers.sh
var peersScript []byte

// twin ends the name of the reference's second instance, which shows what noise alone does.
const twin = " (A/A)"

// judged is the program that targets and gates are for.
const judged = "jackfield"

// lineUp returns the peers that were asked for, ready to be started: haproxy first, missing ones installed, Jackfield built.
func lineUp(ctx context.Context, o relayOptions, dir string, progress io.Writer) ([]peer.Peer, error) {
	peers := []peer.Peer{peer.HAProxy{}}
	known := []peer.Peer{peer.Nginx{}, peer.Socat{}, peer.Jackfield{Binary: filepath.Join(dir, "jackfield")}}
	for _, name := range o.peers {
		k := slices.IndexFunc(known, func(p peer.Peer) bool { return p.Name() == name })
		switch {
		case name == peers[0].Name(): // always there
		case k < 0:
			return nil, fmt.Errorf("--peers %s: there is nginx, socat, jackfield, and always haproxy", name)
		case !slices.Contains(peers, known[k]):
			peers = append(peers, known[k])
		}
	}
	if slices.Contains(peers, known[2]) {
		if err := provide(ctx, filepath.Join(dir, "jackfield"), o.binary); err != nil {
			return nil, err
		}
	}
	return peers, install(ctx, peers, progress)
}

// install installs peers that are missing, or says how to.
func install(ctx context.Context, peers []peer.Peer, progress io.Writer) error {
	missing := installed(peers)
	if missing == nil {
		return nil
	}
	if os.Geteuid() != 0 {
		return fmt.Errorf("%w: run bench/peers.sh as root, or choose with --peers", missing)
	}
	cmd := exec.CommandContext(ctx, "/bin/sh", "-s", "relay")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(peersScript), progress, progress
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%w, and bench/peers.sh failed: %w", missing, err)
	}
	return installed(peers)
}

func installed(peers []peer.Peer) error {
	var errs []error
	for _, p := range peers {
		errs = append(errs, p.Installed())
	}
	return errors.Join(errs...)
}

// provide puts a Jackfield binary where every user may execute it: a copy of the one given, or a new one.
func provide(ctx context.Context, to, given string) error {
	if given != "" {
		binary, err := os.ReadFile(given)
		if err != nil {
			return err
		}
		return os.WriteFile(to, binary, 0o755)
	}
	root, err := moduleRoot(ctx)
	if err != nil {
		return err
	}
	build := exec.CommandContext(ctx, "go", "build", "-o", to, "./cmd/jackfield")
	build.Dir = root
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("build jackfield: %w\n%s", err, out)
	}
	return os.Chmod(to, 0o755)
}

func moduleRoot(ctx context.Context) (string, error) {
	out, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}", "jackfield").Output()
	if err != nil {
		return "", fmt.Errorf("find Jackfield's source (run the benchmark inside it, or use --binary): %w", err)
	}
	return strings.TrimSpace(string(out)), nil
}

// temporary makes a directory whose entries every user can reach, but not list.
func temporary() (string, error) {
	dir, err := os.MkdirTemp("", "jackfield-bench-")
	if err != nil {
		return "", err
	}
	return dir, os.Chmod(dir, 0o711)
}

// start starts every peer, and the first one twice, each in front of a service of its own.
func start(ctx context.Context, stage peer.Stage, peers []peer.Peer) ([]contestant, error) {
	names := []string{peers[0].Name(), peers[0].Name() + twin}
	for _, p := range peers[1:] {
		names = append(names, p.Name())
	}
	return startAs(ctx, stage, names, append([]peer.Peer{peers[0]}, peers...))
}

// startAs starts every peer under its name, each in front of a service of its own.
func startAs(ctx context.Context, stage peer.Stage, names []string, peers []peer.Peer) ([]contestant, error) {
	var contestants []contestant
	for k, p := range peers {
		service, err := backend.Start(stage.Supervisor)
		if err != nil {
			return nil, err
		}
		instance, err := stage.Start(ctx, p, service)
		if err != nil {
			return nil, err
		}
		contestants = append(contestants, contestant{Name: names[k], Subject: instance})
	}
	return contestants, nil
}
