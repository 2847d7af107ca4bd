package cli

import (
	_ "embed"
	"io"

	"github.com/spf13/cobra"
)

// bashAlone is what the script for bash lacks where the package bash-completion is not installed.
//
//go:embed completion.bash
var bashAlone string

// newCompletion takes the place of the command that cobra would make.
func newCompletion() *cobra.Command {
	shells := map[string]func(root *cobra.Command, w io.Writer) error{
		"bash": func(root *cobra.Command, w io.Writer) error {
			if err := root.GenBashCompletionV2(w, true); err != nil {
				return err
			}
			_, err := io.WriteString(w, bashAlone)
			return err
		},
		"zsh":        (*cobra.Command).GenZshCompletion,
		"fish":       func(root *cobra.Command, w io.Writer) error { return root.GenFishCompletion(w, true) },
		"powershell": (*cobra.Command).GenPowerShellCompletionWithDesc,
	}
	return &cobra.Command{
		Use:   "completion bash|zsh|fish|powershell",
		Short: "Print a script with which a shell completes commands, flags and names",
		Long: `Prints a script with which a shell completes commands and flags, and the names of services, sessions and contexts: those that
you may see, of the server that you have logged in to. Where that does not answer within a second, no names are offered.`,
		Example: `  source <(jackfield completion bash)                                      # in ~/.bashrc
  source <(jackfield completion zsh)                                       # in ~/.zshrc, after compinit
  jackfield completion fish > ~/.config/fish/completions/jackfield.fish`,
		ValidArgs: []cobra.Completion{"bash", "zsh", "fish", "powershell"},
		Args:      args(cobra.MatchAll(cobra.ExactArgs(1), cobra.OnlyValidArgs)),
		RunE: func(cmd *cobra.Command, given []string) error {
			return shells[given[0]](cmd.Root(), cmd.OutOrStdout())
		},
	}
}
