package live

import (
	"os"
	"os/exec"
	"syscall"
)

// Unshare returns the beginning of a command that runs in the given namespaces of its own, as root.
func Unshare(namespaces ...string) []string {
	command := append([]string{"unshare"}, namespaces...)
	if os.Getuid() != 0 {
		command = append(command, "--user", "--map-root-user")
	}
	return command
}

// enterNetwork starts this process again in a network that has nothing but a loopback interface. Where that is not
// allowed, it does nothing.
func enterNetwork() {
	if marked() {
		return
	}
	self, err := os.Executable()
	if err != nil {
		return
	}
	command := []string{"unshare", "--net"}
	if os.Getuid() != 0 {
		command = append(command, "--user", "--map-current-user", "--keep-caps") // we stay who we are
	}
	command = append(command, "sh", "-c", `ip link set lo up && exec "$@"`, "sh")
	if exec.Command(command[0], append(command[1:], "true")...).Run() != nil {
		return
	}
	program, err := exec.LookPath(command[0])
	if err != nil {
		return
	}
	os.Setenv(networkMark, "yes")
	syscall.Exec(program, append(append(command, self), os.Args[1:]...), os.Environ()) // if it fails, we go on as we are
}
