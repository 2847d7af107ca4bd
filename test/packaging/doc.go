// Package packaging builds what is installed, as "make deb" and "make image" do, and tries it: manual pages and completions
// are read by the programs that they are for; the Debian package is installed, upgraded, removed and purged in a small Debian
// of its own; the container's program runs in a file system that has nothing else.
//
// The small Debian is made by "make peers" and found through $JACKFIELD_PEERS. What a test does to it is gone with the test.
package packaging
