package cli

import (
	"fmt"

	"github.com/spf13/cobra"

	"jackfield/internal/importer"
)

func newImport() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "import",
		Short: "Translate the configuration of another server",
		Long: `Translates the configuration of inetd or xinetd into Jackfield's. The translation goes to standard output; what has no
equal becomes a comment in it, and their number goes to standard error. No service becomes open to more clients than
before.`,
		Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(
		newImportOf("inetd", importer.Options.Inetd),
		newImportOf("xinetd", importer.Options.Xinetd),
	)
	return cmd
}

func newImportOf(name string, translate func(importer.Options, ...importer.File) (*importer.Result, error)) *cobra.Command {
	return &cobra.Command{
		Use:     name + " FILE...",
		Short:   "Translate " + name + ".conf",
		Example: fmt.Sprintf("  jackfield import %s /etc/%s.conf > jackfield.hcl", name, name),
		Args:    args(cobra.MinimumNArgs(1)),
		RunE: func(cmd *cobra.Command, paths []string) error {
			var files []importer.File
			for _, path := range paths {
				file, err := importer.ReadFile(path)
				if err != nil {
					return err
				}
				files = append(files, file)
			}
			result, err := translate(importer.Options{Include: importer.ReadInclude}, files...)
			if err != nil {
				return err
			}
			fmt.Fprintf(cmd.ErrOrStderr(), "listeners: %d, services: %d, comments that need a look: %d\n",
				result.Listeners, result.Services, result.Notes)
			return result.WriteHCL(cmd.OutOrStdout())
		},
	}
}
