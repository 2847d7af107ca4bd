// Package jetstream keeps the store in NATS JetStream: in a server within this process, whose files are in a directory, or
// in a cluster of nats-servers. Both go through the same code.
//
//	s, err := jetstream.Open(ctx, jetstream.Options{Dir: "/var/lib/jackfield"})
//	if err != nil {
//		return err
//	}
//	defer s.Close()
//
// What is where: the stream KV_<bucket> holds the entries, the subject of each being $KV.<bucket>.<key>; KV_<bucket>_nodes
// the leases of nodes; JOURNAL_<bucket>_<name> each journal. They look like buckets of NATS, so that its tools can read them.
//
// Rules:
//   - Only the leader of a stream answers reads, because a follower may be behind: the streams allow no direct gets.
//   - Each write carries a nonce. When its answer is lost, the nonce is looked for, and the write is tried again as long as
//     it can only be done once; what cannot be found out is store.ErrUnavailable.
//   - A watch reads the whole stream and counts. A change that it should have seen and that is not there any more ends it.
//   - What a key had before stays for a while, so that watches see it; what a deleted key leaves is swept away after an hour.
//
// It does not manage a cluster, nor the accounts and permissions there.
package jetstream

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"jackfield/internal/store"
)

// Options say where the store is: Dir or URL.
type Options struct {
	Dir string // of an embedded server; made if missing

	URL         string      // of a cluster: "nats://a,nats://b"; it may hold a user and a password
	Credentials string      // file with the user's JWT and key, of a cluster that wants it
	TLS         *tls.Config // of connections to a cluster; nil: what the URL says ("tls://")
	Replicas    int         // of the streams in a cluster, 1 to 5; 0 is 3

	Bucket string       // several stores can share a cluster under different names; empty: "jackfield"
	Log    *slog.Logger // nil: nothing is logged
}

// history is how many values of a key are kept: a watch may be that far behind. It must be 1 where entries have a TTL:
// nats-server would let them live too long otherwise, and lose their end.
const history = 16

// Store is a store.Store. Open makes one.
type Store struct {
	options  Options
	patience patience
	ctx      context.Context // ends with Close
	cancel   context.CancelFunc
	embedded *embedded // nil: a cluster
	conn     *nats.Conn
	js       jetstream.JetStream
	entries  *bucket
	nodes    *bucket
	swept    sync.WaitGroup
	close    func() error
}

var _ store.Store = (*Store)(nil)

// Open opens the store, which is made if it is not there. A cluster that does not answer for some seconds is
// store.ErrUnavailable; one that has just started may need more, and Open another try.
func Open(ctx context.Context, o Options) (_ *Store, err error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Bucket == "" {
		o.Bucket = "jackfield"
	}
	if err := store.CheckName(o.Bucket); err != nil {
		return nil, err
	}
	s := &Store{options: o, patience: withCluster}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.close = sync.OnceValue(s.shutDown)
	defer func() {
		if err != nil {
			s.Close()
		}
	}()
	switch {
	case (o.Dir == "") == (o.URL == ""):
		return nil, errors.New("a store has either a directory or a URL")
	case o.Dir != "":
		s.options.Replicas, s.patience = 1, withDisk
		if s.embedded, err = startEmbedded(o.Dir, o.Log); err != nil {
			return nil, err
		}
		s.conn, err = s.embedded.connect(s.connectOptions()...)
	default:
		if o.Replicas == 0 {
			s.options.Replicas = 3
		}
		s.conn, err = connect(ctx, o, s.connectOptions())
	}
	if err != nil {
		return nil, err
	}
	if s.js, err = jetstream.New(s.conn); err != nil {
		return nil, err
	}
	if err := s.makeBuckets(ctx); err != nil {
		return nil, fmt.Errorf("open the store: %w", err)
	}
	s.swept.Go(s.sweep)
	return s, nil
}

func (s *Store) makeBuckets(ctx context.Context) (err error) {
	name := s.options.Bucket
	s.entries, err = s.newBucket(ctx, name, jetstream.StreamConfig{MaxMsgsPerSubject: history})
	if err != nil {
		return err
	}
	s.nodes, err = s.newBucket(ctx, name+"_nodes", jetstream.StreamConfig{
		MaxMsgsPerSubject:      1, // because of the TTL, see history
		AllowMsgTTL:            true,
		AllowRollup:            true,        // which markers want
		SubjectDeleteMarkerTTL: time.Second, // no longer than the shortest TTL
	})
	if err != nil || s.embedded == nil {
		return err
	}
	// The lock file says that nobody else is there: who held a lease was an earlier process.
	ctx, cancel := context.WithTimeout(ctx, s.patience.call)
	defer cancel()
	return s.nodes.stream.Purge(ctx)
}

// connect tries the servers of a cluster until one answers or ctx ends.
func connect(ctx context.Context, o Options, options []nats.Option) (*nats.Conn, error) {
	if o.Credentials != "" {
		options = append(options, nats.UserCredentials(o.Credentials))
	}
	if o.TLS != nil {
		options = append(options, nats.Secure(o.TLS))
	}
	var conn *nats.Conn
	err := withCluster.retry(ctx, func(ctx context.Context) (err error) {
		conn, err = nats.Connect(o.URL, options...)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w", redacted(o.URL), err)
	}
	return conn, nil
}

// connectOptions has no buffer for what is written while there is no connection: it would be sent after the call had failed.
func (s *Store) connectOptions() []nats.Option {
	log := s.options.Log
	return []nats.Option{
		nats.Name("jackfield"),
		nats.Timeout(s.patience.attempt),
		nats.MaxReconnects(-1),
		nats.ReconnectWait(250 * time.Millisecond),
		nats.ReconnectBufSize(-1),
		nats.PingInterval(5 * time.Second),
		nats.MaxPingsOutstanding(2),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) {
			if s.ctx.Err() == nil {
				log.Warn("the store's connection is lost", "error", err)
			}
		}),
		nats.ReconnectHandler(func(conn *nats.Conn) {
			log.Info("the store is connected again", "server", conn.ConnectedUrlRedacted())
		}),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) {
			log.Warn("the store's connection has a problem", "error", err)
		}),
	}
}

// Close ends watches and leases, and the embedded server.
func (s *Store) Close() error { return s.close() }

func (s *Store) shutDown() error {
	s.cancel()
	if s.conn != nil {
		s.conn.Close()
	}
	s.swept.Wait()
	if s.embedded != nil {
		return s.embedded.stop()
	}
	return nil
}
