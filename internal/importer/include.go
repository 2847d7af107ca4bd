package importer

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// ReadFile reads a file of at most MaxFile bytes.
func ReadFile(path string) (File, error) {
	info, err := os.Stat(path)
	if err != nil {
		return File{}, err
	}
	if info.IsDir() {
		return File{}, fmt.Errorf("%s: it is a directory", path)
	}
	file, err := os.Open(path)
	if err != nil {
		return File{}, err
	}
	defer file.Close()
	data, err := io.ReadAll(io.LimitReader(file, MaxFile+1))
	if err != nil {
		return File{}, err
	}
	if len(data) > MaxFile {
		return File{}, fmt.Errorf("%s: the file has more than %d bytes", path, MaxFile)
	}
	return File{Name: path, Data: data}, nil
}

// ReadInclude is an Options.Include that reads from the disk. As xinetd, it takes from a directory the ordinary files whose
// names have no dot and no "~" at their end, sorted.
func ReadInclude(path string, dir bool) ([]File, error) {
	if !dir {
		file, err := readOrdinary(path)
		return []File{file}, err
	}
	entries, err := os.ReadDir(path)
	if err != nil {
		return nil, err
	}
	var files []File
	for _, entry := range entries {
		name := entry.Name()
		if strings.Contains(name, ".") || strings.HasSuffix(name, "~") {
			continue
		}
		file, err := readOrdinary(filepath.Join(path, name))
		if errors.Is(err, errNotOrdinary) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if files = append(files, file); len(files) > maxFiles {
			return nil, fmt.Errorf("%s: there are more than %d files", path, maxFiles)
		}
	}
	return files, nil
}

var errNotOrdinary = errors.New("it is not an ordinary file")

// readOrdinary is ReadFile for what must not be a pipe or a device: reading those may never end.
func readOrdinary(path string) (File, error) {
	info, err := os.Stat(path)
	if err != nil {
		return File{}, err
	}
	if !info.Mode().IsRegular() {
		return File{}, fmt.Errorf("%s: %w", path, errNotOrdinary)
	}
	return ReadFile(path)
}
