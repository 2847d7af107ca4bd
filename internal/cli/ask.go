package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"jackfield/internal/client"
)

// needTerminal says what is missing where nobody can be asked.
func (o *loginOptions) needTerminal(cmd *cobra.Command) error {
	switch {
	case o.tokenStdin || isTerminal(cmd.InOrStdin()):
		return nil
	case o.user == "":
		return usageError{errors.New("there is no terminal to ask who you are: say --user NAME and --password-stdin, or --token-stdin")}
	case !o.password.stdin:
		return usageError{errors.New("there is no terminal to ask for the password: say --password-stdin, or --token-stdin")}
	}
	return nil
}

// askWho asks for name and password.
func (o *loginOptions) askWho(cmd *cobra.Command, server string) (user, password string, err error) {
	user = o.user
	if user == "" {
		fmt.Fprintf(cmd.ErrOrStderr(), "User at %s: ", server)
		if user, err = typedLine(cmd.Context(), cmd.InOrStdin()); err != nil && !errors.Is(err, io.EOF) {
			return "", "", err
		}
	}
	if o.password.stdin {
		password, err = readLine(cmd.InOrStdin(), "password")
	} else {
		password, err = ask(cmd, cmd.InOrStdin().(*os.File), "Password of "+user+": ")
	}
	if err == nil && (user == "" || password == "") {
		err = errors.New("a name and a password are needed to log in")
	}
	return user, password, err
}

// confirm asks whether a stranger is to be trusted.
func confirm(cmd *cobra.Command, server, fingerprint string) error {
	in := cmd.InOrStdin()
	if !isTerminal(in) {
		return fmt.Errorf("nothing proves that %s is the server that you mean: see there, with jackfield certificate authority,"+
			" whether its authority has this fingerprint, and then say --fingerprint %s", server, fingerprint)
	}
	fmt.Fprintf(cmd.ErrOrStderr(), "Nothing proves yet that %s is the server that you mean. The SHA-256 of its authority is\n\n  %s\n\n"+
		"which should be the one that \"jackfield certificate authority\" shows on the server.\n", server, fingerprint)
	fmt.Fprint(cmd.ErrOrStderr(), "Is it? (yes/no/fingerprint) ")
	trusted, err := readTrust(cmd.ErrOrStderr(), fingerprint, func() (string, error) { return typedLine(cmd.Context(), in) })
	if err == nil && !trusted {
		err = errors.New("the server is not trusted: nothing was sent to it")
	}
	return err
}

// readTrust reads lines until one is an answer, as OpenSSH does: yes, no, or the fingerprint, as somebody pastes it who has it from
// elsewhere. The end of what is typed is a no.
func readTrust(questions io.Writer, fingerprint string, line func() (string, error)) (trusted bool, err error) {
	for {
		answer, err := line()
		if errors.Is(err, io.EOF) {
			fmt.Fprintln(questions)
			return false, nil
		}
		if err != nil {
			return false, err
		}
		switch pasted, err := client.ParseFingerprint(answer); {
		case strings.EqualFold(answer, "yes"), err == nil && pasted == fingerprint:
			return true, nil
		case strings.EqualFold(answer, "no"):
			return false, nil
		case err == nil:
			fmt.Fprint(questions, "That is another fingerprint. ")
		}
		fmt.Fprint(questions, "Please type yes, no or the fingerprint: ")
	}
}

// typedLine reads a line from a terminal, which gives one at a time. The error is io.EOF if nothing was typed before the end.
func typedLine(ctx context.Context, r io.Reader) (string, error) {
	return untilDone(ctx, func() (string, error) {
		line, err := bufio.NewReader(io.LimitReader(r, maxPassword)).ReadString('\n')
		if err != nil && (line == "" || !errors.Is(err, io.EOF)) {
			return "", err
		}
		return strings.TrimSpace(line), nil
	})
}

// ask asks for a secret, which is not shown. Ctrl-C ends that and leaves the terminal as it was before.
func ask(cmd *cobra.Command, terminal *os.File, prompt string) (string, error) {
	before, err := term.GetState(int(terminal.Fd()))
	if err != nil {
		return "", err
	}
	fmt.Fprint(cmd.ErrOrStderr(), prompt)
	defer fmt.Fprintln(cmd.ErrOrStderr())
	defer term.Restore(int(terminal.Fd()), before)
	return untilDone(cmd.Context(), func() (string, error) {
		secret, err := term.ReadPassword(int(terminal.Fd()))
		return string(secret), err
	})
}

// untilDone waits for what is typed, or for the end of the context; what reads is left to the end of the process then.
func untilDone(ctx context.Context, read func() (string, error)) (string, error) {
	type answer struct {
		text string
		err  error
	}
	typed := make(chan answer, 1)
	go func() {
		text, err := read()
		typed <- answer{text, err}
	}()
	select {
	case a := <-typed:
		return a.text, a.err
	case <-ctx.Done():
		return "", ctx.Err()
	}
}
