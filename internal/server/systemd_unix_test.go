//go:build unix

package server

import (
	"os"
	"strconv"
	"strings"
	"testing"

	"jackfield/internal/config"
	"jackfield/internal/listen"
)

// What LISTEN_FDS promises wrongly are descriptors of the process itself. None may be taken.
func TestWrongListenFDs(t *testing.T) {
	for _, count := range []string{"5", "20", "99999999", "9223372036854775807", "-1", "3x", "99999999999999999999"} {
		t.Run(count, func(t *testing.T) {
			read, write, err := os.Pipe() // at descriptors that the larger counts include
			if err != nil {
				t.Fatal(err)
			}
			defer read.Close()
			defer write.Close()
			t.Setenv("LISTEN_PID", strconv.Itoa(os.Getpid()))
			t.Setenv("LISTEN_FDS", count)
			err = adoptSockets(listen.NewSockets(t.Context()), &config.Config{})
			if err == nil || !strings.Contains(err.Error(), "LISTEN_FDS") {
				t.Errorf("got %v", err)
			}
			if _, err := write.WriteString("x"); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestNoListenFDs(t *testing.T) {
	for name, env := range map[string][2]string{
		"of another process": {"1", "5"},
		"unset":              {strconv.Itoa(os.Getpid()), ""},
		"none":               {strconv.Itoa(os.Getpid()), "0"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("LISTEN_PID", env[0])
			t.Setenv("LISTEN_FDS", env[1])
			if err := adoptSockets(listen.NewSockets(t.Context()), &config.Config{}); err != nil {
				t.Error(err)
			}
		})
	}
}
