// Gen writes the reference of the API to the file that it is given.
package main

import (
	"log"
	"os"

	"jackfield/internal/api"
)

func main() {
	if len(os.Args) != 2 {
		log.Fatal("usage: gen FILE")
	}
	text, err := reference(api.Document())
	if err != nil {
		log.Fatal(err)
	}
	if err := os.WriteFile(os.Args[1], text, 0o644); err != nil {
		log.Fatal(err)
	}
}
