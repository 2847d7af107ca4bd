// Command jackfield gives every TCP service a name and lets the right people reach it.
package main

import (
	"os"

	"jackfield/internal/cli"
)

func main() { os.Exit(cli.Main()) }
