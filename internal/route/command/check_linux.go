package command

import (
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"jackfield/internal/route/command/forkserver"
)

// program returns the absolute path of the program, which the account may execute.
func (p *problems) program(o Options, who credential, env variables) string {
	if len(o.Command) == 0 || o.Command[0] == "" {
		p.add("no command is given")
		return ""
	}
	name := o.Command[0]
	switch {
	case filepath.IsAbs(name):
		if err := who.mayExecute(name); err != nil {
			p.add("command: %w", err)
		}
		return name
	case strings.Contains(name, "/"):
		p.add("command %q is neither an absolute path nor a name to look up in PATH", name)
		return name
	}
	var first error
	for _, directory := range filepath.SplitList(env["PATH"]) {
		path := filepath.Join(directory, name)
		if !filepath.IsAbs(path) {
			continue
		}
		err := who.mayExecute(path)
		if err == nil {
			return path
		}
		if first == nil && !os.IsNotExist(err) {
			first = err
		}
	}
	if first != nil {
		p.add("command: %w", first)
	} else {
		p.add("command %q is in no directory of PATH (%s)", name, env["PATH"])
	}
	return name
}

// mayExecute says what keeps the account from executing a file.
func (c credential) mayExecute(path string) error {
	info, err := c.reach(path)
	switch {
	case err != nil:
		return err
	case !info.Mode().IsRegular():
		return fmt.Errorf("%s is not a regular file", path)
	case info.Mode()&0o111 == 0:
		return fmt.Errorf("%s is not executable", path)
	case !c.may(info):
		return fmt.Errorf("%s is not executable for %v", path, c)
	}
	return nil
}

// mayEnter says what keeps the account from changing to a directory.
func (c credential) mayEnter(path string) error {
	info, err := c.reach(path)
	switch {
	case err != nil:
		return err
	case !info.IsDir():
		return fmt.Errorf("%s is not a directory", path)
	case !c.may(info):
		return fmt.Errorf("%s cannot be entered by %v", path, c)
	}
	return nil
}

// reach looks at a file, provided that the account may search every directory on the way, those behind a symbolic link
// included.
func (c credential) reach(path string) (fs.FileInfo, error) {
	real, err := filepath.EvalSymlinks(path)
	if err != nil {
		return nil, err
	}
	for _, way := range []string{filepath.Clean(path), real} {
		for directory := filepath.Dir(way); ; directory = filepath.Dir(directory) {
			info, err := os.Stat(directory)
			if err != nil {
				return nil, err
			}
			if !c.may(info) {
				return nil, fmt.Errorf("%s cannot be reached by %v: %s", path, c, directory)
			}
			if directory == filepath.Dir(directory) {
				break
			}
		}
	}
	return os.Stat(real)
}

// may says whether the account may execute a file or search a directory, by the mode bits.
func (c credential) may(info fs.FileInfo) bool {
	mode := info.Mode().Perm()
	stat, ok := info.Sys().(*syscall.Stat_t)
	switch {
	case !ok:
		return false
	case c.UID == 0:
		return info.IsDir() || mode&0o111 != 0
	case c.UID == stat.Uid:
		return mode&0o100 != 0
	case c.GID == stat.Gid || slices.Contains(c.Groups, stat.Gid):
		return mode&0o010 != 0
	}
	return mode&0o001 != 0
}

func (p *problems) umask(o Options) int {
	if o.Umask == nil {
		return -1
	}
	if *o.Umask&^0o777 != 0 {
		p.add("umask %o has other bits than the nine of permissions", uint32(*o.Umask))
	}
	return int(*o.Umask)
}

func (p *problems) nice(o Options) int {
	if o.Nice < -20 || o.Nice > 19 {
		p.add("nice is %d; it goes from -20 to 19", o.Nice)
	}
	if o.Nice == 0 || os.Geteuid() == 0 {
		return o.Nice
	}
	own, err := unix.Getpriority(unix.PRIO_PROCESS, 0)
	if err == nil && o.Nice < 20-own { // the kernel answers 20 - nice
		p.add("nice is %d: below the server's own %d it needs root", o.Nice, 20-own)
	}
	return o.Nice
}

func (p *problems) limits(l Limits) (limits []forkserver.Limit) {
	for _, limit := range []struct {
		name     string
		resource int
		value    *uint64
	}{
		{"nofile", unix.RLIMIT_NOFILE, l.NoFile},
		{"nproc", unix.RLIMIT_NPROC, l.NProc},
		{"cpu", unix.RLIMIT_CPU, l.CPU},
		{"as", unix.RLIMIT_AS, l.AS},
		{"fsize", unix.RLIMIT_FSIZE, l.FSize},
		{"core", unix.RLIMIT_CORE, l.Core},
	} {
		if limit.value == nil {
			continue
		}
		limits = append(limits, forkserver.Limit{Resource: limit.resource, Value: *limit.value})
		var own unix.Rlimit
		err := unix.Getrlimit(limit.resource, &own)
		if err == nil && *limit.value > own.Max && os.Geteuid() != 0 {
			p.add("limit %s is %s: above the server's own %s it needs root", limit.name, size(*limit.value), size(own.Max))
		}
	}
	return limits
}

func size(n uint64) string {
	if n == math.MaxUint64 {
		return "unlimited"
	}
	return fmt.Sprint(n)
}

func hasNUL(s string) bool { return strings.ContainsRune(s, 0) }
