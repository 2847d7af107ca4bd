//go:build unix

package account_test

import (
	"errors"
	"os"
	"os/user"
	"slices"
	"strconv"
	"testing"

	"jackfield/internal/account"
	"jackfield/test/live"
)

func TestFindUser(t *testing.T) {
	own, err := user.Current()
	if err != nil {
		live.Missing(t, "entry for who runs this test", err.Error())
	}
	for _, name := range []string{own.Username, own.Uid} {
		found, err := account.FindUser(name)
		if err != nil {
			t.Errorf("%q: %v", name, err)
			continue
		}
		if found.UID != uint32(os.Getuid()) || strconv.Itoa(int(found.GID)) != own.Gid || found.Entry.HomeDir != own.HomeDir {
			t.Errorf("%q: found %+v (%+v), want %+v", name, found, found.Entry, own)
		}
		if !slices.Contains(found.Groups, found.GID) {
			t.Errorf("%q: its group %d is not among %d", name, found.GID, found.Groups)
		}
	}
}

func TestUnknownUser(t *testing.T) {
	for _, name := range []string{"", "no-such-user", "4000000001", "4294967295", "-1", "+0", "0x0", "99999999999"} {
		if found, err := account.FindUser(name); !errors.As(err, new(user.UnknownUserError)) {
			t.Errorf("%q: %+v, %v", name, found, err)
		}
	}
}

func TestFindGroup(t *testing.T) {
	root, err := user.LookupGroupId("0")
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]uint32{root.Name: 0, "0": 0, "4000000001": 4000000001, "4294967294": 4294967294} {
		if got, err := account.FindGroup(name); got != want || err != nil {
			t.Errorf("%q: got %d, %v, want %d", name, got, err, want)
		}
	}
}

func TestUnknownGroup(t *testing.T) {
	for _, name := range []string{"", "no-such-group", "-1", "+0", "99999999999"} {
		if got, err := account.FindGroup(name); !errors.As(err, new(user.UnknownGroupError)) {
			t.Errorf("%q: %d, %v", name, got, err)
		}
	}
	if got, err := account.FindGroup("4294967295"); !errors.As(err, new(account.NumberError)) {
		t.Errorf("the number that means no change: %d, %v", got, err)
	}
}
