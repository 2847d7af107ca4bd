package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"jackfield"
	"jackfield/internal/authority"
	"jackfield/internal/store"
)

// backups is what the API can do with all that the server keeps: the store's entries and the certificate authority. The audit
// is not part of it.
type backups struct{ *Server }

// errRestoring keeps a second restore away while one runs.
var errRestoring = jackfield.Refuse(jackfield.Busy, "another restore is under way: wait for its end", nil)

// authorityFiles begins the names of the authority's files in a backup.
const authorityFiles = "ca/"

func (b backups) Backup(ctx context.Context, to io.Writer) error {
	files := make(map[string][]byte)
	for name, content := range b.state.authority.Files() {
		files[authorityFiles+name] = content
	}
	err := store.Backup(ctx, b.state.store, to, store.Extra{Files: files})
	if errors.Is(err, store.ErrUnavailable) {
		return jackfield.Refuse(jackfield.Unavailable, "the store cannot be reached: no backup was made", err)
	}
	return err
}

// How long a restore may take, once the backup is here.
const restoreTime = 30 * time.Minute

// spooled begins the names of the files in which backups are kept while they are restored.
const spooled = "restore-"

// Restore keeps the backup in a file meanwhile, because all of it is looked at before anything is changed. From then on it goes
// on to the end, whatever becomes of the caller: the caller's own token may not be in the backup.
func (b backups) Restore(ctx context.Context, from io.Reader) error {
	if !b.restoring.TryLock() {
		return errRestoring
	}
	defer b.restoring.Unlock()
	file, err := os.CreateTemp(b.generation().config.DataDir, spooled+"*")
	if err != nil {
		return err
	}
	defer os.Remove(file.Name())
	defer file.Close()
	if _, err := io.Copy(file, from); err != nil {
		return err
	}
	files, err := store.BackupFiles(file)
	if err != nil {
		return jackfield.Refuse(jackfield.Invalid, err.Error(), nil)
	}
	ca := make(map[string][]byte)
	for name, content := range files {
		its, is := strings.CutPrefix(name, authorityFiles)
		if !is {
			return jackfield.Refuse(jackfield.Invalid, fmt.Sprintf("the backup has a file %q that is not known", name), nil)
		}
		ca[its] = content
	}
	if err := authority.CheckFiles(ca); err != nil {
		return jackfield.Refuse(jackfield.Invalid, err.Error(), nil)
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), restoreTime)
	defer cancel()
	if _, err := store.Restore(ctx, b.state.store, file, nil); err != nil {
		return notRestored(err)
	}
	if err := b.state.authority.Restore(ca); err != nil {
		return notRestored(err)
	}
	if err := b.state.noteAuthority(ctx, b.generation().config); err != nil {
		return notRestored(err)
	}
	b.log.Info("restored from a backup")
	return nil
}

func notRestored(err error) error {
	return jackfield.Refuse(jackfield.Unavailable, "the backup could not be put back as a whole: do it again when the store can be reached", err)
}

// removeSpooled removes what a server that was killed has left of a restore: it holds secrets.
func removeSpooled(dataDir string) error {
	left, err := filepath.Glob(filepath.Join(dataDir, spooled+"*"))
	for _, path := range left {
		err = errors.Join(err, os.Remove(path))
	}
	return err
}
