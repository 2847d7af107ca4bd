package main

import (
	"bytes"
	"os"
	"strings"
	"testing"

	"jackfield/internal/api"
)

func TestReferenceIsFresh(t *testing.T) {
	written, err := os.ReadFile("../../../docs/api.md")
	if err != nil {
		t.Fatal(err)
	}
	made, err := reference(api.Document())
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(written, made) {
		t.Error("docs/api.md is not what the table of operations says; write it with: go generate ./internal/api")
	}
}

func TestReferenceIsWhole(t *testing.T) {
	made, err := reference(api.Document())
	if err != nil {
		t.Fatal(err)
	}
	text := string(made)
	for _, part := range []string{
		"### DELETE /api/v1/sessions/{id}", "| `reason` | query | string (at most 200 bytes) |", "### POST /api/v1/login",
		"Body: [Login](#login)", "### Session\n", "| `route` | string | in the configuration's words", "list of [Check](#check)",
		"`application/octet-stream`", "Server-sent events: session.opened", "412",
	} {
		if !strings.Contains(text, part) {
			t.Errorf("%q is not there", part)
		}
	}
	if strings.Contains(text, "<nil>") || strings.Contains(text, "anything") {
		t.Error("something has no type")
	}
}
