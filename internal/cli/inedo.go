package cli

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"jackfield/internal/client"
	"jackfield/wire/inedo"
)

func newInedo() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "inedo",
		Short: "Be either end of the Inedo Agent network protocol",
		Args:  args(cobra.NoArgs),
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newInedoProbe(), newInedoSend(), newInedoListen())
	return cmd
}

// inedoFlags are those of both roles.
type inedoFlags struct {
	encryption string
	keyFile    string
	protocol   string
	timeout    time.Duration
	maxData    int
}

func (f *inedoFlags) addVersion(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.protocol, "protocol", "", `the protocol's version: "v1" or "v2"; unset: both are spoken`)
}

func (f *inedoFlags) add(cmd *cobra.Command) {
	f.addVersion(cmd)
	cmd.Flags().StringVar(&f.encryption, "encryption", "none", `how messages are encrypted: "none", "ssl" (TLS) or "aes"`)
	cmd.Flags().StringVar(&f.keyFile, "key-file", "", "with aes: a file with the key, 32 or 64 hexadecimal digits")
	cmd.Flags().IntVar(&f.maxData, "max-data", inedo.DefaultMaxData, "the longest data of a message, in bytes")
	cmd.MarkFlagFilename("key-file")
}

// options reads the flags. TLS is left to the role.
func (f *inedoFlags) options() (inedo.Options, error) {
	o := inedo.Options{Timeout: f.timeout, MaxData: f.maxData}
	var err error
	if o.MinProtocol, o.MaxProtocol, err = f.protocols(); err != nil {
		return o, err
	}
	if o.Mode, err = inedo.ParseMode(f.encryption); err != nil {
		return o, usageError{fmt.Errorf(`--encryption is "none", "ssl" or "aes", not %q`, f.encryption)}
	}
	switch {
	case f.timeout <= 0:
		return o, usageError{errors.New("--timeout must be more than 0")}
	case f.maxData < 1 || f.maxData > inedo.LargestMaxData:
		return o, usageError{fmt.Errorf("--max-data must be 1 to %d", inedo.LargestMaxData)}
	case o.Mode == inedo.ModeAES && f.keyFile == "":
		return o, usageError{errors.New("--key-file FILE is missing: with which key should aes encrypt?")}
	case o.Mode != inedo.ModeAES && f.keyFile != "":
		return o, usageError{errors.New("--key-file is for --encryption aes only")}
	case o.Mode == inedo.ModeAES:
		o.Key, err = readInedoKey(f.keyFile)
	}
	return o, err
}

func (f *inedoFlags) protocols() (lowest, highest inedo.Protocol, err error) {
	switch f.protocol {
	case "":
		return inedo.V1, inedo.V2, nil
	case "v1":
		return inedo.V1, inedo.V1, nil
	case "v2":
		return inedo.V2, inedo.V2, nil
	}
	return 0, 0, usageError{fmt.Errorf(`--protocol is "v1" or "v2", not %q`, f.protocol)}
}

// maxKeyFile is more bytes than a file with a key has.
const maxKeyFile = 1 << 10

// readInedoKey reads a key, around which there may be blanks and line ends. What is none stops the program, and is not shown.
func readInedoKey(path string) (inedo.Key, error) {
	file, err := os.Open(path)
	if err != nil {
		return inedo.Key{}, err
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, maxKeyFile))
	if err != nil {
		return inedo.Key{}, err
	}
	key, err := inedo.ParseKey(strings.TrimSpace(string(text)))
	if err != nil {
		return inedo.Key{}, fmt.Errorf("%s does not hold a key: 32 or 64 hexadecimal digits", path)
	}
	return key, nil
}

// inedoTrust says which certificate of an agent is believed.
type inedoTrust struct {
	caFile      string
	fingerprint string
	insecure    bool
	serverName  string
}

func (t *inedoTrust) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&t.caFile, "ca", "", "with ssl: the authorities to believe (PEM); unset: the system's")
	cmd.Flags().StringVar(&t.fingerprint, "fingerprint", "", "with ssl: the SHA-256 of the agent's certificate, which is believed then, whatever its name and authority")
	cmd.Flags().BoolVar(&t.insecure, "insecure", false, "with ssl: believe any certificate: whoever is on the path can read and change everything")
	cmd.Flags().StringVar(&t.serverName, "server-name", "", "with ssl: the name that the certificate must have; unset: HOST")
	cmd.MarkFlagFilename("ca")
}

func (t *inedoTrust) check(cmd *cobra.Command, mode inedo.Mode) error {
	for _, flag := range []string{"ca", "fingerprint", "insecure", "server-name"} {
		if mode != inedo.ModeSSL && cmd.Flags().Changed(flag) {
			return usageError{fmt.Errorf("--%s is for --encryption ssl only", flag)}
		}
	}
	return atMostOne(cmd, "ca", "fingerprint", "insecure")
}

// config is for a connection to host.
func (t *inedoTrust) config(host string) (*tls.Config, error) {
	c := &tls.Config{ServerName: host, MinVersion: tls.VersionTLS12, InsecureSkipVerify: t.insecure}
	if t.serverName != "" {
		c.ServerName = t.serverName
	}
	if t.caFile != "" {
		text, err := os.ReadFile(t.caFile)
		if err != nil {
			return nil, err
		}
		if c.RootCAs = x509.NewCertPool(); !c.RootCAs.AppendCertsFromPEM(text) {
			return nil, fmt.Errorf("%s holds no certificate in PEM", t.caFile)
		}
	}
	if t.fingerprint != "" {
		pinned, err := client.ParseFingerprint(t.fingerprint)
		if err != nil {
			return nil, usageError{err}
		}
		c.InsecureSkipVerify = true // the pin is what is verified
		c.VerifyConnection = func(s tls.ConnectionState) error {
			if shown := fingerprintOf(s.PeerCertificates[0]); shown != pinned {
				return fmt.Errorf("the agent's certificate has the fingerprint %s, not the one of --fingerprint", shown)
			}
			return nil
		}
	}
	return c, nil
}

func fingerprintOf(c *x509.Certificate) string {
	sum := sha256.Sum256(c.Raw)
	return hex.EncodeToString(sum[:])
}

// inedoAddress adds the protocol's port to an address without one.
func inedoAddress(address string) string {
	if _, _, err := net.SplitHostPort(address); err == nil {
		return address
	}
	return net.JoinHostPort(strings.Trim(address, "[]"), strconv.Itoa(inedo.DefaultPort))
}

// explainInedo says what to do about a failed handshake.
func explainInedo(err error) error {
	mode, isMode := errors.AsType[*inedo.ModeError](err)
	refused, isRefused := errors.AsType[*tls.CertificateVerificationError](err)
	switch {
	case isMode:
		return fmt.Errorf("the agent requires --encryption %s, and --encryption says %s: nothing was sent", mode.Got, mode.Want)
	case isRefused && len(refused.UnverifiedCertificates) > 0:
		return fmt.Errorf("the agent's certificate is not believed: %w: say --ca FILE, or --fingerprint %s if that is the agent's",
			refused.Err, fingerprintOf(refused.UnverifiedCertificates[0]))
	case errors.Is(err, inedo.ErrNoReply):
		return errors.New("the agent disconnected without a reply: it does not speak this protocol or version, or not with this address")
	}
	return err
}
