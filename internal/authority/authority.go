// Package authority is Jackfield's own certificate authority, and the TLS configuration of everything that listens or dials
// with its certificates.
//
//	a, err := authority.Open(authority.Options{Dir: filepath.Join(dataDir, "ca"), Log: log, Revoked: identities.Revoked})
//	if err != nil {
//		return err
//	}
//	own, err := a.ServerCertificate("jackfield.example.org", "192.0.2.7")
//	if err != nil {
//		return err
//	}
//	config, err := a.TLSConfig(authority.Listener{
//		Certificates: []authority.Certificate{own},
//		Protocols:    []string{"h2", "http/1.1", "jackfield-agent/1"},
//	})
//
// What it keeps is one file, ca.pem, which only its owner may read: the key and the certificate of the authority and, while an
// old authority is still accepted, the old one's certificate and the new one's as signed by the old. Being one file, it is
// replaced in one step. The key of an old authority is forgotten when the new one is made.
//
// Rules:
//   - A server certificate lives in memory with a key of its own. It is made at the first handshake that needs it, and made
//     again at the first one after two thirds of its life or after a rotation. No key of it is ever on the disk, and there is
//     no goroutine: a machine that slept, or whose clock was set, is right at the next handshake.
//   - After Rotate, the server sends its certificate and the new authority's as signed by the old one: clients that trust
//     either verify it. Client certificates of the old authority are accepted until RetireOld or the end of the overlap.
//   - A client certificate says who somebody is in one URI, such as "jackfield:device:meter-7", and is good for nothing else.
//   - Whether it is revoked is asked at every handshake, those that resume a session included. A connection that is open
//     already is its listener's to cut.
//
// It keeps no list of what it has signed and writes no revocation list: whoever calls Sign remembers the serial number.
// It asks for no certificate elsewhere (ACME).
package authority

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"jackfield/internal/privatefile"
)

// FileName is the name of the one file of an authority, in its directory.
const FileName = "ca.pem"

const (
	authorityYears = 10                  // of its life
	defaultOverlap = 30 * 24 * time.Hour // in which an old authority is accepted
	backdating     = 5 * time.Minute     // of every certificate, for clients whose clocks are behind
	warnBefore     = 90 * 24 * time.Hour // the end of an authority
)

// Options say where an authority is and what it works with.
type Options struct {
	Dir     string // is made, for its owner alone, if it is not there; its parent must be
	Log     *slog.Logger
	Overlap time.Duration // in which an old authority is accepted after a rotation; 0: 30 days

	// Revoked says whether a client certificate, by its serial number, or all of a subject's are void. It is called in every
	// handshake with a client certificate, by many goroutines, and must not wait. nil: none is.
	Revoked func(s Subject, serial string) bool
}

// An Authority signs certificates and configures TLS. It may be used by many goroutines at once.
type Authority struct {
	dir     string
	log     *slog.Logger
	overlap time.Duration
	revoked func(Subject, string) bool

	changing sync.Mutex // held while the file and current are replaced
	current  atomic.Pointer[state]

	chains chains
}

// Open reads the authority in the directory, or makes one if there is none. Its errors say what to do. Two processes must
// not have the same directory open.
func Open(o Options) (*Authority, error) {
	a := &Authority{dir: o.Dir, log: o.Log, overlap: cmp.Or(o.Overlap, defaultOverlap), revoked: o.Revoked}
	if err := openDir(a.dir); err != nil {
		return nil, fmt.Errorf("certificate authority: %w", err)
	}
	s, err := a.load()
	if errors.Is(err, fs.ErrNotExist) {
		if s, err = a.make(); err == nil {
			a.log.Info("a certificate authority was made", "file", a.path(), "fingerprint", s.fingerprint())
		}
	}
	if err != nil {
		return nil, fmt.Errorf("certificate authority: %w", err)
	}
	a.current.Store(s)
	if left := time.Until(s.root.NotAfter); left < warnBefore {
		a.log.Warn("the certificate authority ends soon: rotate it", "not_after", s.root.NotAfter)
	}
	return a, nil
}

func (a *Authority) load() (*state, error) {
	text, err := readPrivate(a.path())
	if err != nil {
		return nil, err
	}
	s, err := parseState(text, time.Now())
	if err != nil {
		return nil, fmt.Errorf("%s: %w: put back a backup of it; or remove it, and the server makes a new authority, with which"+
			" every client must be enrolled again", a.path(), err)
	}
	return s, nil
}

func (a *Authority) make() (*state, error) {
	s, err := newState(time.Now())
	if err != nil {
		return nil, err
	}
	return s, privatefile.Replace(a.path(), s.text)
}

func (a *Authority) path() string { return filepath.Join(a.dir, FileName) }

// Fingerprint is the SHA-256 of the authority's certificate (the new one's, after a rotation), 64 hexadecimal digits.
func (a *Authority) Fingerprint() string { return a.current.Load().fingerprint() }

func (s *state) fingerprint() string {
	sum := sha256.Sum256(s.root.Raw)
	return hex.EncodeToString(sum[:])
}

// Bundle returns the certificates of all authorities that are trusted now, in PEM, the newest first.
func (a *Authority) Bundle() []byte {
	s := a.current.Load()
	bundle := new(bytes.Buffer)
	writeCertificate(bundle, s.root)
	if s.overlaps(time.Now()) {
		writeCertificate(bundle, s.old)
	}
	return bundle.Bytes()
}

// OldUntil returns when the old authority will no longer be accepted; false if there is none.
func (a *Authority) OldUntil() (time.Time, bool) {
	s := a.current.Load()
	if !s.overlaps(time.Now()) {
		return time.Time{}, false
	}
	return s.cross.NotAfter, true
}

// Rotate makes a new authority, which signs from now on; the old one is accepted for the time of the overlap, or until it
// ends itself. While there is an old one still, Rotate refuses: so no client has to follow two changes.
func (a *Authority) Rotate() error {
	return a.change(func(s *state, now time.Time) (*state, error) {
		if s.overlaps(now) {
			return nil, fmt.Errorf("the authority before this one is accepted until %s: retire it first, or wait",
				s.cross.NotAfter.Format(time.RFC3339))
		}
		return s.rotate(now, a.overlap)
	}, "the certificate authority was rotated")
}

// RetireOld ends the overlap: certificates of the old authority are not accepted any more, and clients that trust nothing
// else do not verify this server. Without an old authority it does nothing.
func (a *Authority) RetireOld() error {
	if _, there := a.OldUntil(); !there {
		return nil
	}
	return a.change(func(s *state, _ time.Time) (*state, error) {
		return completed(state{key: s.key, root: s.root})
	}, "the old certificate authority was retired")
}

// change replaces the state, in the file first. After an error nothing has changed.
func (a *Authority) change(next func(*state, time.Time) (*state, error), done string) error {
	a.changing.Lock()
	defer a.changing.Unlock()
	s, err := next(a.current.Load(), time.Now())
	if err != nil {
		return fmt.Errorf("certificate authority: %w", err)
	}
	if err := privatefile.Replace(a.path(), s.text); err != nil {
		return fmt.Errorf("certificate authority: %w", err)
	}
	a.current.Store(s)
	a.log.Info(done, "fingerprint", s.fingerprint())
	return nil
}

// Files returns what a backup needs, by name. It holds the authority's key: guard it.
func (a *Authority) Files() map[string][]byte {
	return map[string][]byte{FileName: bytes.Clone(a.current.Load().text)}
}

// Restore puts back what Files returned, and it is in force at once. After an error nothing has changed.
func (a *Authority) Restore(files map[string][]byte) error {
	return a.change(func(_ *state, now time.Time) (*state, error) { return stateOf(files, now) }, "the certificate authority was restored")
}

// CheckFiles says what would keep Restore from putting the files back.
func CheckFiles(files map[string][]byte) error {
	_, err := stateOf(files, time.Now())
	return err
}

func stateOf(files map[string][]byte, now time.Time) (*state, error) {
	for name := range files {
		if name != FileName {
			return nil, fmt.Errorf("the backup has a file %q that is not known: it is of another version", name)
		}
	}
	text, there := files[FileName]
	if !there {
		return nil, fmt.Errorf("the backup has no %s", FileName)
	}
	s, err := parseState(text, now)
	if err != nil {
		return nil, fmt.Errorf("the backup's %s: %w: take another backup", FileName, err)
	}
	return s, nil
}
