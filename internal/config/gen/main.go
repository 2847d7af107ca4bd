// Gen writes the configuration reference to the file that it is given.
package main

import (
	"log"
	"os"

	"jackfield/internal/config"
)

func main() {
	if len(os.Args) != 2 {
		log.Fatal("usage: gen FILE")
	}
	if err := os.WriteFile(os.Args[1], config.Reference(), 0o644); err != nil {
		log.Fatal(err)
	}
}
