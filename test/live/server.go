package live

import (
	"os"
	"os/exec"
	"strings"
	"syscall"
)

// A Server is "jackfield serve".
type Server struct {
	*Process
	Addresses map[string]string // of the listeners, by name; "admin" is the admin port
}

// Serve starts a server in a directory with a configuration file and waits until it serves. The environment is the
// test's and what is given.
func Serve(dir, config string, environment ...string) (*Server, error) {
	cmd := exec.Command("jackfield", "serve", "--config", config)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), environment...)
	return ServeCommand(cmd)
}

// ServeCommand is Serve for a command that becomes the server.
func ServeCommand(cmd *exec.Cmd) (*Server, error) {
	p, err := Start(cmd)
	if err != nil {
		return nil, err
	}
	s := &Server{Process: p, Addresses: make(map[string]string)}
	if err := p.WaitFor(func(output string) bool { return len(Select(output, Equal("msg", "serving"))) > 0 }); err != nil {
		p.Stop(syscall.SIGTERM)
		return nil, err
	}
	for _, line := range Select(p.Output(), Equal("msg", "listening")) {
		name, address := text(line["listener"]), text(line["address"])
		if !strings.Contains(address, "/") { // the admin socket is a path
			s.Addresses[name] = address
		}
	}
	return s, nil
}
