package server

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"jackfield/internal/audit"
	"jackfield/internal/audit/journal"
	"jackfield/internal/authority"
	"jackfield/internal/authority/ledger"
	"jackfield/internal/config"
	"jackfield/internal/enrolment"
	"jackfield/internal/identity"
	"jackfield/internal/store"
	"jackfield/internal/store/jetstream"
)

// What lies in data_dir, beside the store.
const (
	authorityDir   = "ca"
	firstTokenName = "first-token"
)

// How long the store may take to open: an embedded one reads its files, a cluster may be choosing its leader.
const storePatience = 30 * time.Second

// state is what a server keeps from one run to the next, and who may ask it: the store and what lives in it, and the
// certificate authority.
type state struct {
	store     store.Store
	ledger    *ledger.Ledger
	agents    *enrolment.Roll
	authority *authority.Authority
	directory *identity.Directory
	records   store.Journal   // of the audit
	journal   *journal.Writer // into records
	audit     *audit.Log
	log       *slog.Logger

	retention store.Retention // of records; guarded by Server.mu
}

// openState opens all of it. The name is the server's, by which its records are known in the store.
func openState(c *config.Config, name string, log *slog.Logger) (_ *state, err error) {
	s := &state{log: log}
	defer func() {
		if err != nil {
			s.close()
		}
	}()
	ctx, cancel := context.WithTimeout(context.Background(), storePatience)
	defer cancel()
	if err := s.openStore(ctx, c); err != nil {
		return nil, err
	}
	if err := s.checkStore(ctx, c); err != nil {
		return nil, err
	}
	if s.ledger, err = ledger.Open(ctx, s.store, log); err != nil {
		return nil, err
	}
	if s.agents, err = enrolment.Open(ctx, s.store, log); err != nil {
		return nil, err
	}
	s.authority, err = authority.Open(authority.Options{
		Dir: filepath.Join(c.DataDir, authorityDir), Revoked: s.refused, Log: log,
	})
	if err != nil {
		return nil, err
	}
	if err := s.checkAuthority(ctx, c); err != nil {
		return nil, err
	}
	s.directory, err = identity.Open(ctx, s.store, identity.Options{
		File: peopleOf(c), FirstTokenPath: filepath.Join(c.DataDir, firstTokenName), Log: log,
	})
	if err != nil {
		return nil, err
	}
	return s, s.openAudit(ctx, c, name)
}

func (s *state) openStore(ctx context.Context, c *config.Config) error {
	o := jetstream.Options{Log: s.log}
	if c.Store.URL == "" {
		o.Dir = c.DataDir
	} else {
		o.URL, o.Replicas, o.Credentials = c.Store.URL, c.Store.Replicas, c.Store.CredentialsFile
		var err error
		if o.TLS, err = clusterTLS(c.Store); err != nil {
			return fmt.Errorf("%s: store: %w", c.Store.Where, err)
		}
	}
	opened, err := openPatiently(ctx, o)
	if err != nil {
		return fmt.Errorf("store: %w", err)
	}
	s.store = opened
	return nil
}

// checkStore refuses an empty store of a server that has run before: to begin anew with it would make a new administrator, and
// void every token and certificate without a word.
func (s *state) checkStore(ctx context.Context, c *config.Config) error {
	ca := filepath.Join(c.DataDir, authorityDir, authority.FileName)
	if _, err := os.Lstat(ca); err == nil && c.Store.URL == "" {
		empty, err := store.IsEmpty(ctx, s.store)
		if err != nil {
			return err
		}
		if empty {
			return fmt.Errorf("the store in %s is empty, though this server has run before, for there is %s: put the directory back; "+
				"or, to begin anew, remove %s and, if there is one, put a backup back when the server runs", c.DataDir, ca, ca)
		}
	}
	return store.CheckSchema(ctx, s.store)
}

// openPatiently waits for a cluster that starts at the same time, until ctx ends.
func openPatiently(ctx context.Context, o jetstream.Options) (*jetstream.Store, error) {
	for {
		opened, err := jetstream.Open(ctx, o)
		if !errors.Is(err, store.ErrUnavailable) || o.URL == "" {
			return opened, err
		}
		o.Log.Warn("the store cannot be reached yet", "error", err)
		select {
		case <-ctx.Done():
			return nil, err
		case <-time.After(time.Second):
		}
	}
}

// clusterTLS returns what the configuration says of TLS with the cluster; nil if that is nothing.
func clusterTLS(c config.Store) (*tls.Config, error) {
	if c.CAFile == "" && c.CertificateFile == "" {
		return nil, nil
	}
	t := &tls.Config{MinVersion: tls.VersionTLS12}
	if c.CAFile != "" {
		authorities, err := os.ReadFile(c.CAFile)
		if err != nil {
			return nil, err
		}
		t.RootCAs = x509.NewCertPool()
		if !t.RootCAs.AppendCertsFromPEM(authorities) {
			return nil, fmt.Errorf("%s holds no certificate in PEM", c.CAFile)
		}
	}
	if c.CertificateFile != "" {
		own, err := tls.LoadX509KeyPair(c.CertificateFile, c.KeyFile)
		if err != nil {
			return nil, err
		}
		t.Certificates = []tls.Certificate{own}
	}
	return t, nil
}

// authorityKey is the store's entry that says which authority its servers have.
const authorityKey = "meta.authority"

var errOtherAuthority = errors.New("this server's certificate authority is not the one of the other servers of the store")

// checkAuthority sees to it that all servers of a cluster have one authority. With a store of its own a server may have any.
func (s *state) checkAuthority(ctx context.Context, c *config.Config) error {
	if c.Store.URL == "" {
		return nil
	}
	own := []byte(s.authority.Fingerprint())
	_, err := s.store.Create(ctx, authorityKey, own)
	if !errors.Is(err, store.ErrExists) {
		return err
	}
	entry, err := s.store.Get(ctx, authorityKey)
	if err != nil {
		return err
	}
	if string(entry.Value) != string(own) {
		return fmt.Errorf("%w: copy %s from one of them, and start this one again", errOtherAuthority,
			filepath.Join(c.DataDir, authorityDir, authority.FileName))
	}
	return nil
}

// noteAuthority tells the other servers of a cluster which authority they must have from now on.
func (s *state) noteAuthority(ctx context.Context, c *config.Config) error {
	if c.Store.URL == "" {
		return nil
	}
	own := []byte(s.authority.Fingerprint())
	entry, err := s.store.Get(ctx, authorityKey)
	switch {
	case errors.Is(err, store.ErrNotFound): // a backup of a server without a cluster has none
		_, err = s.store.Create(ctx, authorityKey, own)
	case err == nil:
		_, err = s.store.Update(ctx, authorityKey, own, entry.Revision)
	}
	return err
}

// openAudit opens the file and the journal in the store, and makes up for how the last run ended.
func (s *state) openAudit(ctx context.Context, c *config.Config, name string) (err error) {
	s.retention = retention(c)
	if s.records, err = s.store.Journal(ctx, journal.Name, s.retention); err != nil {
		return fmt.Errorf("audit in the store: %w", err)
	}
	s.journal = journal.NewWriter(s.records, journal.Options{Server: name, MaxAge: c.Audit.Retention, Log: s.log})
	s.audit, err = audit.Open(audit.Options{
		Path: c.Audit.Path, MaxSize: c.Audit.MaxSize, Keep: c.Audit.Keep, Sink: s.journal, Log: s.log,
	})
	if err != nil {
		return err
	}
	return journal.Recover(ctx, s.audit, s.journal)
}

func retention(c *config.Config) store.Retention {
	return store.Retention{MaxAge: c.Audit.Retention, MaxBytes: c.Audit.RetentionSize}
}

// configure puts to work what a configuration says of the state. After an error nothing has changed.
func (s *state) configure(c *config.Config) error {
	if err := s.directory.Configure(peopleOf(c)); err != nil {
		return err
	}
	s.audit.SetRotation(c.Audit.MaxSize, c.Audit.Keep)
	if wanted := retention(c); wanted != s.retention {
		ctx, cancel := context.WithTimeout(context.Background(), storePatience)
		defer cancel()
		if _, err := s.store.Journal(ctx, journal.Name, wanted); err != nil {
			return fmt.Errorf("audit in the store: its retention cannot be changed now: %w", err)
		}
		s.retention = wanted
	}
	return nil
}

// How long the last lines of the audit may take to get into the store when the server stops.
const journalGrace = 3 * time.Second

// close gives up what was opened, the last first.
func (s *state) close() {
	if s.audit != nil {
		if err := s.audit.Close(); err != nil {
			s.log.Error("audit log", "error", err)
		}
	}
	if s.journal != nil {
		ctx, cancel := context.WithTimeout(context.Background(), journalGrace)
		defer cancel()
		if err := s.journal.Close(ctx); err != nil {
			s.log.Warn("not all of the audit is in the store yet: the next start adds it", "error", err)
		}
	}
	if s.directory != nil {
		s.directory.Close()
	}
	if s.agents != nil {
		s.agents.Close()
	}
	if s.ledger != nil {
		s.ledger.Close()
	}
	if s.store != nil {
		if err := s.store.Close(); err != nil {
			s.log.Error("store", "error", err)
		}
	}
}
