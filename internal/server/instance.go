package server

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// An instance is a server's name through all its runs, kept in data_dir. The short ids of its requests begin with it and
// with the number of the run, so that they never repeat and tell which server they are of.
type instance struct {
	name   string
	number uint64 // of this run
}

// prefix is what the ids of all runs begin with.
func (i *instance) prefix() string { return i.name + "-" }

// run is what the ids of this run begin with.
func (i *instance) run() string { return i.prefix() + strconv.FormatUint(i.number, 36) }

// openInstance reads the file, or makes it, and counts this run.
func openInstance(dataDir string) (*instance, error) {
	path := filepath.Join(dataDir, "instance")
	i, err := readInstance(path)
	if err != nil {
		return nil, err
	}
	i.number++
	if err := i.write(path); err != nil {
		return nil, fmt.Errorf("instance file: %w", err)
	}
	return i, nil
}

func readInstance(path string) (*instance, error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return &instance{name: strings.ToLower(rand.Text()[:4])}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("instance file: %w", err)
	}
	name, number, _ := strings.Cut(strings.TrimSpace(string(text)), " ")
	n, err := strconv.ParseUint(number, 10, 64)
	if err != nil || name == "" || strings.ContainsAny(name, "- \n") {
		return nil, fmt.Errorf("instance file: %s is damaged: remove it, and the server takes a new name", path)
	}
	return &instance{name: name, number: n}, nil
}

// write replaces the file in one step: a server that is killed leaves the old one or the new one.
func (i *instance) write(path string) error {
	temporary := path + ".new"
	file, err := os.OpenFile(temporary, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(file, "%s %d\n", i.name, i.number)
	if err := errors.Join(err, file.Sync(), file.Close()); err != nil {
		return err
	}
	return os.Rename(temporary, path)
}
