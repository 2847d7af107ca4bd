package client

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"jackfield/internal/privatefile"
)

// A Login is what is kept of one: which server, how it is known, and the token that proves who asks.
type Login struct {
	Context string    `json:"-"` // its name
	URL     string    `json:"url"`
	User    string    `json:"user,omitempty"`
	Token   string    `json:"token,omitempty"` // empty: logged out
	Expires time.Time `json:"expires,omitzero"`

	// Authorities are the certificates in PEM that are pinned; empty: the system's authorities count.
	Authorities string `json:"authorities,omitempty"`
}

// ErrNone says that there is no such context, or no current one.
var ErrNone = errors.New("there is no login")

const (
	maxContextName = 100 // bytes
	currentFile    = "current"
	extension      = ".json"
)

// Contexts are the logins of one person, by name; one of them is the current one. They are files in a directory, replaced in one
// step, so several processes may use them at once.
type Contexts struct{ dir string }

// Open returns the contexts in the directory, which need not be there yet; "" is the usual one: jackfield in the user's directory
// for configuration.
func Open(dir string) (*Contexts, error) {
	if dir == "" {
		parent, err := os.UserConfigDir()
		if err != nil {
			return nil, fmt.Errorf("there is no place to keep logins in: %w", err)
		}
		dir = filepath.Join(parent, "jackfield")
	}
	return &Contexts{dir}, nil
}

// Dir is the directory.
func (c *Contexts) Dir() string { return c.dir }

// CheckContextName says what keeps a text from naming a context: it is part of a file's name.
func CheckContextName(name string) error {
	fine := func(r rune) bool {
		return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || strings.ContainsRune("._-", r)
	}
	if name == "" || len(name) > maxContextName || name[0] == '.' || strings.ContainsFunc(name, func(r rune) bool { return !fine(r) }) {
		return fmt.Errorf("%.100q cannot name a context: up to %d letters, digits and ._- can, the first of which is no dot",
			name, maxContextName)
	}
	return nil
}

// ContextName is the name of a server's context unless another one is given.
func ContextName(serverURL string) string {
	u, err := parseURL(serverURL)
	if err != nil {
		return ""
	}
	name := strings.Map(func(r rune) rune {
		if r == ':' || r == '%' {
			return '-'
		}
		return r
	}, strings.NewReplacer("[", "", "]", "").Replace(u.Host))
	return strings.TrimLeft(name, "-")
}

func (c *Contexts) path(name string) string { return filepath.Join(c.dir, "contexts", name+extension) }

// read reads a file of the contexts, if nobody but its owner, who is the one that asks, can have written it.
func (c *Contexts) read(path string) ([]byte, error) {
	for _, dir := range []string{c.dir, filepath.Dir(path)} {
		if err := checkDir(dir); err != nil {
			return nil, err
		}
	}
	return privatefile.ReadOwn(path, "log in again")
}

// Load returns the context of that name. The error may be ErrNone.
func (c *Contexts) Load(name string) (*Login, error) {
	if err := CheckContextName(name); err != nil {
		return nil, err
	}
	text, err := c.read(c.path(name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w of the name %q", ErrNone, name)
	}
	if err != nil {
		return nil, err
	}
	l := &Login{Context: name}
	if err := json.Unmarshal(text, l); err != nil {
		return nil, fmt.Errorf("%s cannot be read: remove it and log in again", c.path(name)) // no cause: it might quote the token
	}
	return l, nil
}

// Current returns the current context. The error may be ErrNone.
func (c *Contexts) Current() (*Login, error) {
	name, err := c.read(filepath.Join(c.dir, currentFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, ErrNone
	}
	if err != nil {
		return nil, err
	}
	return c.Load(strings.TrimSpace(string(name)))
}

// List returns all contexts, by name.
func (c *Contexts) List() ([]Login, error) {
	entries, err := os.ReadDir(filepath.Join(c.dir, "contexts"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	all := []Login{}
	for _, entry := range entries {
		name, is := strings.CutSuffix(entry.Name(), extension)
		if !is || CheckContextName(name) != nil {
			continue // a file that is being written, or somebody else's
		}
		l, err := c.Load(name)
		if err != nil {
			return nil, err
		}
		all = append(all, *l)
	}
	return all, nil
}

// Save keeps a login under its name. Another one of that name is replaced.
func (c *Contexts) Save(l Login) error {
	if err := CheckContextName(l.Context); err != nil {
		return err
	}
	text, err := json.MarshalIndent(l, "", "  ")
	if err != nil {
		return err
	}
	return c.write(c.path(l.Context), append(text, '\n'))
}

// Use makes a context the current one.
func (c *Contexts) Use(name string) error {
	if _, err := c.Load(name); err != nil {
		return err
	}
	return c.write(filepath.Join(c.dir, currentFile), []byte(name+"\n"))
}

// Remove forgets a context.
func (c *Contexts) Remove(name string) error {
	current, err := c.Current()
	if err == nil && current.Context == name {
		if err := os.Remove(filepath.Join(c.dir, currentFile)); err != nil {
			return err
		}
	}
	if err := CheckContextName(name); err != nil {
		return err
	}
	return os.Remove(c.path(name))
}

// checkDir says what keeps a directory from being trusted: others could put their files into it.
func checkDir(dir string) error {
	info, err := os.Stat(dir)
	if err != nil {
		return err
	}
	owner, known := privatefile.Owner(info)
	switch {
	case !known:
		return nil
	case owner != os.Geteuid() && owner != 0:
		return fmt.Errorf("%s, where logins are kept, belongs to another user: name another directory with XDG_CONFIG_HOME", dir)
	case info.Mode().Perm()&0o022 != 0:
		return fmt.Errorf("others may write to %s, where logins are kept: chmod 700 it, and log in again if somebody did", dir)
	}
	return nil
}

// write replaces a file of the contexts; its directory is made.
func (c *Contexts) write(path string, text []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	return privatefile.ReplaceShared(path, text)
}
