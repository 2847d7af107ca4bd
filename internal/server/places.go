package server

import (
	"os"
	"path/filepath"
	"slices"

	"jackfield/internal/config"
)

// places are where a change of the configuration shows: its files, and the symbolic links that lead to them. All paths are
// absolute and free of links, so that each place has one name.
type places struct {
	names       []string // of files and links
	directories []string // that hold them, or in which a file may come to be included
}

// findPlaces finds the places of a configuration; there are none if it is not to be watched. It is the directories that are
// watched: a file that is replaced would be lost from sight.
func findPlaces(c *config.Config) (p places) {
	if !c.Watch {
		return p
	}
	for _, directory := range c.Dirs {
		p.directories = append(p.directories, p.follow(directory))
	}
	for _, file := range c.Files {
		p.names = append(p.names, p.follow(file))
	}
	for _, name := range p.names {
		p.directories = append(p.directories, filepath.Dir(name))
	}
	p.names, p.directories = sortedSet(p.names), sortedSet(p.directories)
	return p
}

func sortedSet(s []string) []string {
	slices.Sort(s)
	return slices.Compact(s)
}

func (p places) equal(other places) bool {
	return slices.Equal(p.names, other.names) && slices.Equal(p.directories, other.directories)
}

func (p places) has(name string) bool {
	_, found := slices.BinarySearch(p.names, name)
	return found
}

// maxLinks is how many links are followed for one path. Linux follows as many.
const maxLinks = 40

// follow returns where a path leads, whether anything is there or not, and notes the links on the way.
func (p *places) follow(path string) string {
	if absolute, err := filepath.Abs(path); err == nil {
		path = absolute
	}
	left := maxLinks
	return p.walk(path, &left)
}

func (p *places) walk(path string, left *int) string {
	dir := filepath.Dir(path)
	if dir == path {
		return path
	}
	path = filepath.Join(p.walk(dir, left), filepath.Base(path))
	target, err := os.Readlink(path)
	if err != nil || *left == 0 { // it is no link
		return path
	}
	*left--
	p.names = append(p.names, path)
	if !filepath.IsAbs(target) {
		target = filepath.Join(filepath.Dir(path), target)
	}
	return p.walk(target, left)
}
