package cli

import (
	"fmt"
	"io"
	"net"
	"time"

	"github.com/spf13/cobra"

	"jackfield/wire/inedo"
)

// A probedAgent is what an agent says of itself.
type probedAgent struct {
	Address      string `json:"address"`
	Encryption   string `json:"encryption"`
	Protocol     int32  `json:"protocol"` // 1000 or 2000
	Version      string `json:"version"`
	VersionBytes int    `json:"version_bytes"` // 4 or 16
}

func newInedoProbe() *cobra.Command {
	var f inedoFlags
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "probe HOST[:PORT]",
		Short: "Ask an agent what it speaks",
		Long: `Does the clear part of the handshake with the agent at HOST:PORT (46336 unless given) and prints what the agent says:
the encryption that it requires, the version of the protocol, and that of its program. Nothing else is sent.

That part of the handshake is not protected: whoever is on the path can say what he likes.`,
		Args: args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, given []string) error {
			f.encryption, f.maxData = inedo.ModeNone.String(), inedo.DefaultMaxData
			o, err := f.options()
			if err != nil {
				return err
			}
			address := inedoAddress(given[0])
			conn, err := (&net.Dialer{Timeout: f.timeout}).DialContext(cmd.Context(), "tcp", address)
			if err != nil {
				return err
			}
			reply, err := inedo.Probe(cmd.Context(), conn, inedo.ClientConfig{Options: o})
			if err != nil {
				return explainInedo(err)
			}
			agent := newProbedAgent(address, reply)
			if asJSON {
				return printJSON(cmd.OutOrStdout(), agent)
			}
			return agent.print(cmd.OutOrStdout())
		},
	}
	f.addVersion(cmd)
	cmd.Flags().DurationVar(&f.timeout, "timeout", 30*time.Second, "how long the connection, and then the handshake, may take")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// firstInedoV2 is the first version of Inedo's program that speaks V2. An older one may return the number of V2 as a session ID.
const firstInedoV2 = 43

func newProbedAgent(address string, r inedo.Reply) probedAgent {
	a := probedAgent{
		Address: address, Encryption: r.Mode.String(), Protocol: int32(inedo.V1), Version: r.Version.String(), VersionBytes: 16,
	}
	if r.Slot == int32(inedo.V2) && r.Version.Major >= firstInedoV2 {
		a.Protocol = int32(inedo.V2)
	}
	if r.Width == inedo.WidthNarrow {
		a.VersionBytes = 4
		a.Version = fmt.Sprint(r.Version.Major)
	}
	return a
}

func (a probedAgent) print(w io.Writer) error {
	_, err := fmt.Fprintf(w, "encryption  %s\nprotocol    %d\nversion     %s (in %d bytes)\n", a.Encryption, a.Protocol, a.Version, a.VersionBytes)
	return err
}
