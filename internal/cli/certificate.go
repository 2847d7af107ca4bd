package cli

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"jackfield/internal/api"
)

func newCertificate() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "certificate",
		Short: "Issue and revoke certificates of users and devices",
		Args:  args(cobra.NoArgs),
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newCertificateIssue(), newCertificateRemove(), newCertificateList(), newCertificateAuthority(), newCertificateRotate(), newCertificateRetire())
	return cmd
}

// What "certificate issue" writes.
const (
	caFile          = "ca.pem"
	certificateFile = "certificate.pem"
	keyFile         = "key.pem"
)

func newCertificateIssue() *cobra.Command {
	var flags serverFlags
	var user, device, requestPath, out string
	var lifetime time.Duration
	cmd := &cobra.Command{
		Use:   "issue (--user NAME | --device NAME) --out DIRECTORY",
		Short: "Issue a certificate",
		Long: `Issues a certificate by which a user or a device is known, and writes it to the directory with the certificates of the
authority, for the server to be known by: certificate.pem and ca.pem. The private key is made here, in key.pem, unless --request
names a certificate request (PKCS #10 in PEM) whose key somebody else keeps. A device need not be in the configuration yet.`,
		Example: `  jackfield certificate issue --device meter-7 --out meter-7
  jackfield certificate issue --user ada --request ada.csr --out ada`,
		Args: args(cobra.NoArgs),
		RunE: flags.withServer(func(cmd *cobra.Command, _ []string, server *api.Client) error {
			r := api.CertificateRequest{Kind: "user", Name: user, Lifetime: api.Duration(lifetime)}
			switch {
			case (user == "") == (device == ""):
				return usageError{errors.New("say whom it is for: --user NAME or --device NAME")}
			case out == "":
				return usageError{errors.New("--out DIRECTORY is missing: where should the files go?")}
			case device != "":
				r.Kind, r.Name = "device", device
			}
			files, err := newCredentials(out, requestPath)
			if err != nil {
				return err
			}
			r.Request = string(files.request)
			return files.obtain(cmd, server, r)
		}),
	}
	flags.add(cmd)
	cmd.Flags().StringVar(&user, "user", "", "the user it is for")
	cmd.Flags().StringVar(&device, "device", "", "the device it is for; it need not be in the configuration yet")
	cmd.Flags().StringVar(&requestPath, "request", "", "the certificate request; without it, a key is made")
	cmd.Flags().StringVar(&out, "out", "", "the directory for the files; it is made")
	cmd.Flags().DurationVar(&lifetime, "lifetime", 0, "how long it is good, in hours such as 2160h (default 8760h, at most 87600h)")
	return cmd
}

// credentials are the files of a certificate that is being made.
type credentials struct {
	dir     string
	request []byte // PKCS #10
	key     []byte // empty: somebody else's
}

func newCredentials(dir, requestPath string) (*credentials, error) {
	c := &credentials{dir: dir}
	var err error
	if requestPath != "" {
		c.request, err = os.ReadFile(requestPath)
		return c, err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	request, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, key)
	if err != nil {
		return nil, err
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	c.request = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: request})
	c.key = pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})
	return c, nil
}

// obtain has the certificate issued and writes all files. None may be there: a key that is overwritten is lost.
func (c *credentials) obtain(cmd *cobra.Command, server *api.Client, r api.CertificateRequest) error {
	if err := os.MkdirAll(c.dir, 0o700); err != nil {
		return err
	}
	defer os.Remove(c.dir) // if nothing came of it: one that holds something stays
	for _, name := range []string{caFile, certificateFile, keyFile} {
		if _, err := os.Lstat(filepath.Join(c.dir, name)); !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("%s is there already: name another directory", filepath.Join(c.dir, name))
		}
	}
	authority, err := server.Authority(cmd.Context())
	if err != nil {
		return err
	}
	issued, err := server.IssueCertificate(cmd.Context(), r)
	if err != nil {
		return err
	}
	files := map[string][]byte{caFile: []byte(authority.Bundle), certificateFile: []byte(issued.PEM)}
	if len(c.key) > 0 {
		files[keyFile] = c.key
	}
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(c.dir, name), content, 0o600); err != nil {
			return err
		}
	}
	_, err = fmt.Fprintf(cmd.OutOrStdout(), "certificate %s of %s %s, until %s: in %s\n",
		issued.Serial, issued.Kind, issued.Name, issued.Expires.Local().Format(time.DateOnly), c.dir)
	return err
}

func newCertificateRemove() *cobra.Command {
	var flags serverFlags
	cmd := &cobra.Command{
		Use:   "revoke SERIAL...",
		Short: "Revoke certificates",
		Long: `Revokes certificates by their serial numbers (see "jackfield certificate ls"). What their owners are doing with them is cut at
once.`,
		Args: args(cobra.MinimumNArgs(1)),
		RunE: flags.withServer(func(cmd *cobra.Command, serials []string, server *api.Client) error {
			return forEach(cmd, serials, "revoked", func(s string) error { return server.RevokeCertificate(cmd.Context(), s) })
		}),
	}
	flags.add(cmd)
	return cmd
}

func newCertificateList() *cobra.Command {
	var flags serverFlags
	var asJSON bool
	cmd := &cobra.Command{
		Use:     "ls",
		Aliases: []string{"list"},
		Short:   "Show the certificates that were issued",
		Long: `Shows the certificates of users and devices. Those that are void because their user is gone, or because the authority that
signed them is not accepted any more, count as revoked.`,
		Args: args(cobra.NoArgs),
		RunE: flags.withServer(func(cmd *cobra.Command, _ []string, server *api.Client) error {
			certificates, err := server.Certificates(cmd.Context())
			switch {
			case err != nil:
				return err
			case asJSON:
				return printJSON(cmd.OutOrStdout(), certificates)
			}
			return printCertificates(cmd.OutOrStdout(), certificates, time.Now())
		}),
	}
	flags.add(cmd)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func printCertificates(w io.Writer, certificates []api.Certificate, now time.Time) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "SERIAL\tKIND\tNAME\tSTATE\tEXPIRES")
	for _, c := range certificates {
		state := "good"
		switch {
		case c.Revoked:
			state = "revoked"
		case now.After(c.Expires):
			state = "expired"
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\n", c.Serial, c.Kind, c.Name, state, c.Expires.Local().Format(time.DateOnly))
	}
	return table.Flush()
}

func newCertificateAuthority() *cobra.Command {
	var flags serverFlags
	cmd := &cobra.Command{
		Use:   "authority",
		Short: "Print the certificates that clients must trust, in PEM",
		Args:  args(cobra.NoArgs),
		RunE: flags.withServer(func(cmd *cobra.Command, _ []string, server *api.Client) error {
			authority, err := server.Authority(cmd.Context())
			if err != nil {
				return err
			}
			fmt.Fprintf(cmd.ErrOrStderr(), "SHA-256 of the first: %s\n", authority.Fingerprint)
			_, err = io.WriteString(cmd.OutOrStdout(), authority.Bundle)
			return err
		}),
	}
	flags.add(cmd)
	return cmd
}

func newCertificateRotate() *cobra.Command {
	var flags serverFlags
	cmd := &cobra.Command{
		Use:   "rotate",
		Short: "Make a new certificate authority",
		Long: `Makes a new certificate authority, which signs from now on. What the old one has signed, and clients that trust the old one
alone, are good for another 30 days: give them new certificates in that time. Then, or earlier with "jackfield certificate
retire", what the old one has signed is void.`,
		Args: args(cobra.NoArgs),
		RunE: flags.withServer(func(cmd *cobra.Command, _ []string, server *api.Client) error {
			authority, err := server.RotateAuthority(cmd.Context())
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "new authority %s; the old one is accepted until %s\n",
				authority.Fingerprint, authority.OldUntil.Local().Format(time.DateTime))
			return err
		}),
	}
	flags.add(cmd)
	return cmd
}

func newCertificateRetire() *cobra.Command {
	var flags serverFlags
	cmd := &cobra.Command{
		Use:   "retire",
		Short: "End a rotation: what the old authority has signed is void",
		Long: `Ends the time in which the old certificate authority is still accepted after a rotation. What it has signed is void at once: do
this when its key was lost, or when everybody has a new certificate.`,
		Args: args(cobra.NoArgs),
		RunE: flags.withServer(func(cmd *cobra.Command, _ []string, server *api.Client) error {
			authority, err := server.RetireAuthority(cmd.Context())
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "only authority %s is accepted now; what the old one has signed is void\n", authority.Fingerprint)
			return err
		}),
	}
	flags.add(cmd)
	return cmd
}
