package cli

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"jackfield/internal/agentd/membership"
)

func newAgentJoin() *cobra.Command {
	var i membership.Invitation
	var fromStdin bool
	var path string
	cmd := &cobra.Command{
		Use:   "join --server URL (--token-stdin | --token-file FILE)",
		Short: "Make this machine an agent of a server, once",
		Long: `Makes this machine the agent that "jackfield agent enroll" has enrolled on the server: makes a private key, has the server sign a
certificate for it, and keeps both in the directory, where only you can read them. The key never leaves this machine. The server is
known by the token, which holds the fingerprint of its authority; one that it is not for never sees it.

After that, "jackfield agent run" needs neither token nor password.`,
		Example: `  jackfield agent join --server https://jackfield.example.org --token-stdin < token
  jackfield agent join --server jackfield.example.org --token-file token --state /var/lib/jackfield-agent`,
		Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			switch {
			case i.Server == "":
				return usageError{errors.New("--server URL is missing: which server is this to be an agent of?")}
			case fromStdin == (path != ""):
				return usageError{errors.New("say where the token is: --token-stdin or --token-file FILE; arguments could be read by others")}
			case i.Dir == "":
				if i.Dir, err = membership.DefaultDir(); err != nil {
					return err
				}
			}
			if i.Token, err = readJoinToken(cmd.InOrStdin(), path); err != nil {
				return err
			}
			m, err := membership.Join(cmd.Context(), i)
			if err != nil {
				return errors.New(visible(err.Error()))
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "this machine is agent %s of %s; what makes it so is in %s: start it with jackfield agent run\n",
				m.Name(), m.Server(), i.Dir)
			return err
		},
	}
	cmd.Flags().StringVar(&i.Server, "server", "", "the server, such as https://jackfield.example.org")
	cmd.Flags().BoolVar(&fromStdin, "token-stdin", false, "read the token from standard input")
	cmd.Flags().StringVar(&path, "token-file", "", "read the token from a file")
	cmd.Flags().StringVar(&i.Dir, "state", "", "the directory for key and certificate (default: of root /var/lib/jackfield-agent, else jackfield/agent in your directory for state)")
	cmd.Flags().BoolVar(&i.Again, "again", false, "replace what an earlier join has left in the directory")
	cmd.MarkFlagFilename("token-file")
	cmd.MarkFlagDirname("state")
	return cmd
}

const maxTokenText = 1024 // bytes, with the space around it

// readJoinToken reads the token in a file; without a path, on standard input.
func readJoinToken(stdin io.Reader, path string) (string, error) {
	from, place := stdin, "standard input"
	if path != "" {
		file, err := os.Open(path)
		if err != nil {
			return "", err
		}
		defer file.Close()
		from, place = file, path
	}
	text, err := io.ReadAll(io.LimitReader(from, maxTokenText+1))
	switch {
	case err != nil:
		return "", err
	case len(text) > maxTokenText:
		return "", fmt.Errorf("%s holds more than a token", place)
	case strings.TrimSpace(string(text)) == "":
		return "", fmt.Errorf("%s holds no token", place)
	}
	return strings.TrimSpace(string(text)), nil
}
