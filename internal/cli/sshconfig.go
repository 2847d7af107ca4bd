package cli

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
)

func newSSHConfig() *cobra.Command {
	var flags loginFlags
	cmd := &cobra.Command{
		Use:   "ssh-config",
		Short: "Print a block for ~/.ssh/config, so that ssh reaches services by their names",
		Long: `Prints a block for ~/.ssh/config. With it, "ssh ssh.board-1" reaches the service ssh.board-1, and so do scp, sftp and rsync.
It is for the services that are called ssh, with one dot in the whole name; nothing is asked of a server.`,
		Example: `  jackfield ssh-config >> ~/.ssh/config`,
		Args:    args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			program, err := os.Executable()
			if err != nil || filepath.Base(filepath.Dir(program)) == "exe" {
				program = "jackfield"
			}
			command := quoteShell(program) + " connect"
			if flags.context != "" {
				command += " --context " + quoteShell(flags.context)
			}
			// A host with two dots is none of ours: ssh.github.com.
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "# Services of Jackfield that are called ssh (made by jackfield ssh-config)\n"+
				"Host ssh.* !ssh.*.*\n    ProxyCommand %s -- %%h\n    CheckHostIP no\n", strings.ReplaceAll(command, "%", "%%"))
			return err
		},
	}
	flags.add(cmd)
	return cmd
}

// quoteShell writes a word for the shell that ssh starts, in quotes only where they are needed.
func quoteShell(word string) string {
	plain := func(r rune) bool {
		return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || strings.ContainsRune("/._-+:@%", r)
	}
	if !strings.ContainsFunc(word, func(r rune) bool { return !plain(r) }) {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}
