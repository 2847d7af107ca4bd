package cli

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"time"

	"github.com/spf13/pflag"

	"jackfield/internal/access"
	"jackfield/internal/config"
	"jackfield/wire/inedo"
)

// listenFlags say how an inbound agent listens, and win over what its file says.
type listenFlags struct {
	address, encryption         string
	key, aesKey                 string // paths
	certificate, certificateKey string // paths
	from                        []string
}

func (l *listenFlags) define(flags *pflag.FlagSet) {
	flags.StringVar(&l.address, "listen", "", "let the server dial this agent, at `HOST:PORT`, instead of dialling it")
	flags.StringVar(&l.encryption, "encryption", "", "how the server speaks to a listening agent: ssl (the default), aes (control only, no streams) or none")
	flags.StringVar(&l.key, "key-file", "", "the agent's own key, which the server has too: a `FILE` of 64 hexadecimal digits")
	flags.StringVar(&l.aesKey, "aes-key-file", "", "for --encryption aes: a `FILE` of 32 or 64 hexadecimal digits")
	flags.StringVar(&l.certificate, "certificate", "", "for --encryption ssl: the agent's certificate and its chain, a PEM `FILE`; unset: that of \"agent join\"")
	flags.StringVar(&l.certificateKey, "certificate-key", "", "the private key of --certificate, a PEM `FILE`")
	flags.StringSliceVar(&l.from, "allow-from", nil, "`CIDR` where servers may come from; unset: from everywhere")
}

// over returns what the file says of listening with what the flags say instead; nil: the agent does not listen.
func (l *listenFlags) over(file *config.AgentListen) (*config.AgentListen, error) {
	if l.address == "" && file == nil {
		if given := slices.Concat([]string{l.encryption, l.key, l.aesKey, l.certificate, l.certificateKey}, l.from); slices.ContainsFunc(given, func(s string) bool { return s != "" }) {
			return nil, usageError{errors.New("--listen is missing: the other flags say how the agent listens")}
		}
		return nil, nil
	}
	// As the file has them where it is silent.
	out := config.AgentListen{Encryption: "ssl", MaxHandshakes: 100, HandshakeTimeout: 30 * time.Second}
	if file != nil {
		out = *file
	}
	out.Address = cmp.Or(l.address, out.Address)
	if l.encryption != "" && l.encryption != out.Encryption { // what the file says is for its own mode
		out.Encryption, out.AESKeyFile, out.CertificateFile, out.CertificateKeyFile = l.encryption, "", "", ""
	}
	out.KeyFile = cmp.Or(l.key, out.KeyFile)
	out.AESKeyFile = cmp.Or(l.aesKey, out.AESKeyFile)
	if l.certificate != "" || l.certificateKey != "" {
		out.CertificateFile, out.CertificateKeyFile = l.certificate, l.certificateKey
	}
	if len(l.from) > 0 {
		networks, err := parseNetworks(l.from)
		if err != nil {
			return nil, usageError{fmt.Errorf("--allow-from: %w", err)}
		}
		out.AllowedAddresses = networks
	}
	if err := checkListen(&out); err != nil {
		return nil, usageError{err}
	}
	return &out, nil
}

func checkListen(l *config.AgentListen) error {
	mode, err := inedo.ParseMode(l.Encryption)
	_, _, splitErr := net.SplitHostPort(l.Address)
	switch {
	case err != nil:
		return fmt.Errorf("--encryption is ssl, aes or none, not %q", l.Encryption)
	case splitErr != nil:
		return fmt.Errorf("--listen: %w", splitErr)
	case l.KeyFile == "":
		return errors.New("--key-file is missing: an agent that listens knows its server by a key that both have")
	case (mode == inedo.ModeAES) != (l.AESKeyFile != ""):
		return errors.New("--aes-key-file and --encryption aes need each other")
	case (l.CertificateFile == "") != (l.CertificateKeyFile == ""):
		return errors.New("--certificate and --certificate-key need each other")
	case mode != inedo.ModeSSL && l.CertificateFile != "":
		return errors.New("--certificate is for --encryption ssl")
	}
	return nil
}

func parseNetworks(texts []string) (networks []netip.Prefix, err error) {
	for _, text := range texts {
		if address, err := netip.ParseAddr(text); err == nil {
			networks = append(networks, netip.PrefixFrom(address.Unmap().WithZone(""), address.Unmap().BitLen()))
			continue
		}
		network, err := netip.ParsePrefix(text)
		if err != nil {
			return nil, fmt.Errorf("%q is neither a network such as 10.1.0.0/24 nor an address", text)
		}
		networks = append(networks, access.Canonical(network))
	}
	return networks, nil
}
