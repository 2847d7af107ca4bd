package admin

import (
	"errors"

	"golang.org/x/sys/windows"
)

// lockDirectory does nothing: two servers that start at the same moment are not told apart here.
func lockDirectory(string) (unlock func(), err error) { return func() {}, nil }

func isRefused(err error) bool { return errors.Is(err, windows.WSAECONNREFUSED) }
