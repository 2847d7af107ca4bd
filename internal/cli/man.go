package cli

import (
	"fmt"
	"os"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"jackfield/internal/manpage"
)

const exitStatusText = `0 when it is done, 1 when it was refused or has failed, 2 for wrong use or a configuration with mistakes, 130 when it was told to
stop.`

// newMan is for those who build packages.
func newMan() *cobra.Command {
	return &cobra.Command{
		Use:   "man DIRECTORY",
		Short: "Write the manual pages, one for each command",
		Long: `Writes the manual pages of all commands into DIRECTORY, which is made where there is none. Their date is today's, or that of
$SOURCE_DATE_EPOCH in seconds since 1970.`,
		Hidden: true,
		Args:   args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, given []string) error {
			date, err := sourceDate()
			if err != nil {
				return err
			}
			manual := manpage.Manual{
				Version:    "Jackfield " + version,
				Date:       date,
				ExitStatus: exitStatusText,
				SeeAlso:    []string{"jackfield.hcl(5)"},
			}
			return manual.Write(given[0], cmd.Root())
		},
	}
}

// sourceDate is when what is built was changed last, for builds that are to be reproduced
// (https://reproducible-builds.org/specs/source-date-epoch/).
func sourceDate() (time.Time, error) {
	text, set := os.LookupEnv("SOURCE_DATE_EPOCH")
	if !set {
		return time.Now(), nil
	}
	seconds, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return time.Time{}, fmt.Errorf("SOURCE_DATE_EPOCH is %q, not seconds since 1970", text)
	}
	return time.Unix(seconds, 0), nil
}
