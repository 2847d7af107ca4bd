package cli

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"
)

// maxPassword is the length in bytes of the longest password that is read.
const maxPassword = 1024

// passwordFlags say where a password comes from. It is never an argument: others could read those.
type passwordFlags struct {
	stdin bool
	none  bool
}

func (f *passwordFlags) add(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&f.stdin, "password-stdin", false, "read the password from standard input, up to the end of the line")
}

// read returns the password: from standard input, or asked for twice at the terminal.
func (f *passwordFlags) read(cmd *cobra.Command, prompt string) (string, error) {
	switch {
	case f.none && f.stdin:
		return "", usageError{errors.New("--no-password and --password-stdin contradict each other")}
	case f.none:
		return "", nil
	case f.stdin:
		return readLine(cmd.InOrStdin(), "password")
	}
	terminal, is := cmd.InOrStdin().(*os.File)
	if !is || !term.IsTerminal(int(terminal.Fd())) {
		return "", usageError{errors.New("there is no terminal to ask for the password: say --password-stdin")}
	}
	first, err := ask(cmd, terminal, prompt)
	if err != nil {
		return "", err
	}
	second, err := ask(cmd, terminal, "Again: ")
	if err != nil {
		return "", err
	}
	if first != second {
		return "", errors.New("the two passwords are not the same: nothing was changed")
	}
	return first, nil
}

// readLine reads a secret, which errors call what.
func readLine(r io.Reader, what string) (string, error) {
	line, err := bufio.NewReader(io.LimitReader(r, maxPassword+2)).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return "", err
	}
	line = strings.TrimSuffix(strings.TrimSuffix(line, "\n"), "\r")
	switch {
	case line == "":
		return "", fmt.Errorf("there is no %s on standard input", what)
	case len(line) > maxPassword:
		return "", fmt.Errorf("the %s on standard input has more than %d bytes", what, maxPassword)
	}
	return line, nil
}
