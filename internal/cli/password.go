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
		return readLine(cmd.InOrStdin())
	}
	terminal, is := cmd.InOrStdin().(*os.File)
	if !is || !term.IsTerminal(int(terminal.Fd())) {
		return "", usageError{errors.New("there is no terminal to ask for the password: say --password-stdin")}
	}
	first, err := ask(cmd.ErrOrStderr(), terminal, prompt)
	if err != nil {
		return "", err
	}
	second, err := ask(cmd.ErrOrStderr(), terminal, "Again: ")
	if err != nil {
		return "", err
	}
	if first != second {
		return "", errors.New("the two passwords are not the same: nothing was changed")
	}
	return first, nil
}

func ask(w io.Writer, terminal *os.File, prompt string) (string, error) {
	fmt.Fprint(w, prompt)
	password, err := term.ReadPassword(int(terminal.Fd()))
	fmt.Fprintln(w)
	return string(password), err
}

func readLine(r io.Reader) (string, error) {
	line, err := bufio.NewReader(io.LimitReader(r, maxPassword+2)).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return "", err
	}
	line = strings.TrimSuffix(strings.TrimSuffix(line, "\n"), "\r")
	switch {
	case line == "":
		return "", errors.New("there is no password on standard input")
	case len(line) > maxPassword:
		return "", fmt.Errorf("the password on standard input has more than %d bytes", maxPassword)
	}
	return line, nil
}
