package jetstream

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"jackfield/internal/store"
)

// Limits of the embedded server. What fills the disk is bounded by the journals' retention, and by the entries that there
// are; a limit below the size of the disk would only add one more way to fail.
const (
	maxMemory = 64 << 20 // of consumers' state
	maxStore  = 1 << 40
)

// minFree is how much of the disk is left free. The server gives up what it cannot write, until it is started again.
const minFree = 16 << 20

// An embedded server has a directory to itself, and no port.
type embedded struct {
	server *server.Server
	files  string
	free   func(dir string) (uint64, error)
	unlock func()
}

func startEmbedded(dir string, log *slog.Logger) (*embedded, error) {
	files := filepath.Join(dir, "store")
	if err := os.MkdirAll(files, 0o700); err != nil {
		return nil, err
	}
	// Two servers can open the same files, and would destroy them.
	unlock, err := lock(filepath.Join(files, "lock"))
	if err != nil {
		return nil, err
	}
	e := &embedded{files: files, free: freeBytes, unlock: unlock}
	e.server, err = server.NewServer(&server.Options{
		ServerName:             "jackfield",
		DontListen:             true,
		NoSigs:                 true,
		JetStream:              true,
		StoreDir:               files,
		SyncAlways:             true, // the default writes to disk every two minutes
		JetStreamMaxMemory:     maxMemory,
		JetStreamMaxStore:      maxStore,
		DisableJetStreamBanner: true,
	})
	if err != nil {
		unlock()
		return nil, err
	}
	e.server.SetLoggerV2(serverLog{log.With("component", "nats-server")}, false, false, false)
	e.server.Start()
	if !e.server.ReadyForConnections(10*time.Second) || !e.server.JetStreamEnabled() {
		return nil, errors.Join(fmt.Errorf("the embedded store in %s did not start: %w", files, store.ErrUnavailable), e.stop())
	}
	return e, nil
}

func (e *embedded) connect(options ...nats.Option) (*nats.Conn, error) {
	return nats.Connect("", append(options, nats.InProcessServer(e.server))...)
}

// checkRoom refuses writes while the disk is full.
func (s *Store) checkRoom() error {
	if s.embedded == nil {
		return nil
	}
	switch free, err := s.embedded.free(s.embedded.files); {
	case err != nil:
		return fmt.Errorf("%w: %w", store.ErrUnavailable, err)
	case free < minFree:
		return fmt.Errorf("%w: the disk of %s has less than %d MiB free", store.ErrUnavailable, s.embedded.files, minFree>>20)
	}
	return nil
}

func (e *embedded) stop() error {
	defer e.unlock()
	e.server.Shutdown()
	e.server.WaitForShutdown()
	return nil
}

// serverLog passes on warnings and errors.
type serverLog struct{ log *slog.Logger }

func (l serverLog) Noticef(string, ...any)            {}
func (l serverLog) Debugf(string, ...any)             {}
func (l serverLog) Tracef(string, ...any)             {}
func (l serverLog) Warnf(format string, args ...any)  { l.log.Warn(sentence(format, args)) }
func (l serverLog) Errorf(format string, args ...any) { l.log.Error(sentence(format, args)) }
func (l serverLog) Fatalf(format string, args ...any) { l.log.Error(sentence(format, args)) }

func sentence(format string, args []any) string {
	return strings.TrimSpace(fmt.Sprintf(format, args...))
}
