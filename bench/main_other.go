//go:build !linux

// The benchmark weighs processes by what Linux tells in /proc, and runs nowhere else.
package main

import (
	"fmt"
	"os"
)

func main() {
	fmt.Fprintln(os.Stderr, "bench: the benchmark runs on Linux only")
	os.Exit(1)
}
