package mapper

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"

	"jackfield/internal/account"
)

const defaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// A launch is how a program is started: what of its Options is found out once.
type launch struct {
	path        string
	environment []string
	attributes  *syscall.SysProcAttr
}

// newLaunch looks for the program and its user. The error says all that is wrong.
func newLaunch(o Options) (launch, error) {
	var l launch
	var failures []error
	path, err := findProgram(o.Path)
	if err != nil {
		failures = append(failures, fmt.Errorf("command: %w", err))
	}
	l.path = path
	who, err := account.FindUser(o.User)
	switch {
	case o.User == "":
		who, err = nil, nil
	case err != nil:
		failures = append(failures, fmt.Errorf("user %q: %w", o.User, err))
	}
	if err == nil {
		if l.attributes, err = attributes(who); err != nil {
			failures = append(failures, err)
		}
	}
	l.environment = environment(o, who)
	return l, errors.Join(failures...)
}

// findProgram returns the absolute path of a program.
func findProgram(name string) (string, error) {
	path, err := exec.LookPath(name)
	switch {
	case errors.Is(err, exec.ErrNotFound):
		return "", fmt.Errorf("%q is in no directory of PATH", name)
	case errors.Is(err, fs.ErrNotExist):
		return "", fmt.Errorf("%s does not exist", name)
	case errors.Is(err, fs.ErrPermission):
		return "", fmt.Errorf("%s is not executable", name)
	case err != nil:
		return "", err
	}
	return filepath.Abs(path)
}

// environment is what a program finds.
func environment(o Options, who *account.User) []string {
	env := map[string]string{"PATH": defaultPath}
	if who != nil {
		env["HOME"], env["USER"], env["LOGNAME"] = who.Entry.HomeDir, who.Entry.Username, who.Entry.Username
	}
	for _, name := range o.EnvKeep {
		if value, set := os.LookupEnv(name); set {
			env[name] = value
		}
	}
	maps.Copy(env, o.Env)
	env["JACKFIELD_MAPPER"] = o.Name
	list := make([]string, 0, len(env))
	for _, name := range slices.Sorted(maps.Keys(env)) {
		list = append(list, name+"="+env[name])
	}
	return list
}
