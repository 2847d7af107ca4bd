package config

import (
	"errors"
	"fmt"
	"strings"
)

// Store says where the state is kept.
type Store struct {
	URL      string // of the servers of a NATS cluster, each with scheme and port, with commas between them; empty: embedded, in Config.DataDir
	Replicas int    // 1, 3 or 5; 0 without URL

	// Only with URL. Whether the files exist is not known here; empty: not set.
	CredentialsFile string
	CAFile          string
	CertificateFile string // both files or neither
	KeyFile         string

	Where string // empty: no block
}

var urlOnly = []string{"`url`"}

var storeBlock = &block{
	name:    "store",
	doc:     "Where the server keeps its state: users, tokens, sessions and the audit. Without this block, in `data_dir`.",
	changes: restart,
	attributes: []attribute{
		{
			name: "url", kind: text{what: "`\"nats://HOST:PORT,HOST:PORT\"`", check: checkStoreURL},
			doc: "The servers of a NATS cluster with JetStream, which keeps the state instead; `tls://` for TLS that begins at once. Without a port: 4222. " +
				"User and password have no place in it: see `credentials_file`. Unset: a store of the server's own in `data_dir`.",
		},
		{
			name: "replicas", kind: count{1, 5}, fallback: "3", only: urlOnly,
			doc: "On how many servers of the cluster everything is kept: 1, 3 or 5.",
		},
		{
			name: "credentials_file", kind: text{what: "path", check: checkPath}, only: urlOnly,
			doc: "The file with what proves to the cluster who this server is, as `nsc` writes it. Unset: nothing does, but `certificate_file`.",
		},
		{
			name: "ca_file", kind: text{what: "path", check: checkPath}, only: urlOnly,
			doc: "Certificates (PEM) of the authorities that the cluster's certificates must come from. Unset: those that the system trusts.",
		},
		{
			name: "certificate_file", kind: text{what: "path", check: checkPath}, only: urlOnly,
			doc: "The certificate (PEM) that the cluster is shown. `key_file` must stand beside it.",
		},
		{
			name: "key_file", kind: text{what: "path", check: checkPath}, only: urlOnly,
			doc: "The certificate's private key (PEM).",
		},
	},
}

func (s *section) store() Store {
	inner := s.one(storeBlock)
	if inner == nil {
		return Store{}
	}
	out := Store{Where: s.where(inner.header)}
	if inner.has("url") {
		inner.checkSelected(urlOnly[0])
		inner.checkKeyPair()
		out.URL, _ = parseStoreURL(inner.text("url")) // checkStoreURL has found it right, or reported it
		out.Replicas = inner.count("replicas")
	} else {
		inner.checkSelected("")
	}
	if out.Replicas > 0 && out.Replicas%2 == 0 {
		inner.bad(inner.at("replicas"), "replicas", "it must be 1, 3 or 5: of an even number one more is needed for a majority, and no more may fail")
	}
	out.CredentialsFile = s.path(inner.text("credentials_file"))
	out.CAFile = s.path(inner.text("ca_file"))
	out.CertificateFile, out.KeyFile = s.path(inner.text("certificate_file")), s.path(inner.text("key_file"))
	return out
}

func checkStoreURL(s string) error {
	_, err := parseStoreURL(s)
	return err
}

// parseStoreURL returns the URL of each server, with commas between them. The scheme of the first holds for those without
// one. The error does not quote s, which may hold a password.
func parseStoreURL(s string) (string, error) {
	const maxServers = 64
	scheme, _, found := strings.Cut(s, "://")
	servers := strings.Split(s, ",")
	switch {
	case strings.Contains(s, "@"):
		return "", errors.New("a user or password has no place in the URL, which may be logged: name a credentials_file")
	case !found || scheme != "nats" && scheme != "tls":
		return "", errors.New(`the URL of a cluster begins with "nats://" or "tls://"`)
	case len(servers) > maxServers:
		return "", fmt.Errorf("a cluster may have at most %d servers", maxServers)
	}
	for i, server := range servers {
		own, address, found := strings.Cut(server, "://")
		switch {
		case !found:
			address = server
		case own != scheme:
			return "", errors.New("all servers must have the same scheme")
		}
		address = withPort(address, "4222")
		if err := checkHostPort(address, false); err != nil {
			return "", err
		}
		servers[i] = scheme + "://" + address
	}
	return strings.Join(servers, ","), nil
}
