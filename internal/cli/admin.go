package cli

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"jackfield/internal/admin"
	"jackfield/internal/api"
	"jackfield/internal/config"
)

// adminFlags say which server is meant.
type adminFlags struct {
	socket string
	config string
}

func (f *adminFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.socket, "socket", "", "the server's admin socket (found through --config unless given)")
	configFlag(cmd, &f.config)
}

// client finds the server: by its socket, else by the data_dir of its configuration.
func (f *adminFlags) client() (*api.Client, error) {
	if f.socket != "" {
		return admin.Dial(f.socket)
	}
	dataDir, err := config.DataDir(f.config)
	if err != nil {
		if _, missing := os.Stat(f.config); missing != nil {
			err = missing // which has no line to name
		}
		return nil, fmt.Errorf("cannot tell which server is meant: %w (name its configuration with --config, or its admin socket"+
			" with --socket)", err)
	}
	return admin.Dial(filepath.Join(dataDir, admin.SocketName))
}

// withServer makes the function of a command that asks a server.
func (f *adminFlags) withServer(do func(cmd *cobra.Command, given []string, server *api.Client) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, given []string) error {
		server, err := f.client()
		if err != nil {
			return err
		}
		defer server.Close()
		return do(cmd, given, server)
	}
}
