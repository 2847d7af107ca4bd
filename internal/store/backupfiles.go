package store

import "io"

// BackupFiles reads a whole backup and returns the files in it, so that they can be looked at before Restore changes anything.
func BackupFiles(r io.ReadSeeker) (map[string][]byte, error) {
	files := make(map[string][]byte)
	err := readBackup(r, func(c contentLine) error {
		if c.File != "" {
			files[c.File] = c.Value
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return files, nil
}
