// Package docs runs what the documentation says: every block of README.md and docs/**/*.md that is marked
//
//	```sh
//
// exactly like this. Blocks that are marked otherwise (console, text, hcl, …) are only shown: what needs root, another
// machine or ten minutes is marked console.
//
// The blocks of a document are one shell script, which ends at the first command that fails. It runs in a fresh directory
// that has the checkout's files as links, with "jackfield" as a command, a TMPDIR of its own, and in a network of its own,
// where every port is free. A block "jackfield demo" or "jackfield serve …" stands for another terminal: it goes on in the
// background, and the next block begins when the server is ready. In the end everything is stopped.
package docs
