//go:build linux

package peer

import (
	"fmt"
	"os"
	"os/user"
	"strconv"
	"syscall"
)

// A User is whom peers run as.
type User struct {
	Name string
	As   *syscall.Credential // nil: as the benchmark itself
}

func (u User) root() bool { return u.As == nil && os.Geteuid() == 0 }

// Users returns whom this benchmark can run peers as: root and nobody, or without root's rights only its own user.
func Users() ([]User, error) {
	if os.Geteuid() != 0 {
		self, err := user.Current()
		if err != nil {
			return nil, err
		}
		return []User{{Name: self.Username}}, nil
	}
	nobody, err := credential("nobody")
	if err != nil {
		return nil, err
	}
	return []User{{Name: "root"}, {Name: "nobody", As: nobody}}, nil
}

func credential(name string) (*syscall.Credential, error) {
	u, err := user.Lookup(name)
	if err != nil {
		return nil, err
	}
	uid, err := strconv.ParseUint(u.Uid, 10, 32)
	if err != nil {
		return nil, fmt.Errorf("user %s: %w", name, err)
	}
	gid, err := strconv.ParseUint(u.Gid, 10, 32)
	if err != nil {
		return nil, fmt.Errorf("group of user %s: %w", name, err)
	}
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
}
