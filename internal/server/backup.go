package server

import (
	"context"
	"errors"
	"io"
	"os"
	"strings"

	"jackfield"
	"jackfield/internal/store"
)

// backups is what the API can do with all that the server keeps: the store's entries and the certificate authority. The audit
// is not part of it.
type backups struct{ *Server }

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

// Restore keeps the backup in a file meanwhile, because all of it is read before anything is changed.
func (b backups) Restore(ctx context.Context, from io.Reader) error {
	file, err := os.CreateTemp(b.generation().config.DataDir, "restore-*")
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
		return notRestored(err)
	}
	authority := make(map[string][]byte)
	for name, content := range files {
		if name, its := strings.CutPrefix(name, authorityFiles); its {
			authority[name] = content
		}
	}
	if err := b.state.authority.Restore(authority); err != nil {
		return jackfield.Refuse(jackfield.Invalid, err.Error(), nil)
	}
	if _, err := store.Restore(ctx, b.state.store, file, nil); err != nil {
		return notRestored(err)
	}
	if err := b.state.noteAuthority(ctx, b.generation().config); err != nil {
		return notRestored(err)
	}
	b.log.Info("restored from a backup")
	return nil
}

func notRestored(err error) error {
	if errors.Is(err, store.ErrBackup) {
		return jackfield.Refuse(jackfield.Invalid, err.Error(), nil)
	}
	return jackfield.Refuse(jackfield.Unavailable, "the backup could not be put back as a whole: do it again when the store can be reached", err)
}
