package config

import (
	"bytes"
	"os"
	"regexp"
	"testing"
)

func TestReferenceIsFresh(t *testing.T) {
	written, err := os.ReadFile("../../docs/configuration.md")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(written, Reference()) {
		t.Error("docs/configuration.md is not what the schema says; write it with: go generate ./internal/config")
	}
}

// Both files that people write, with what the reference shows of them.
var examples = map[*block]string{rootBlock: referenceExample, agentFile: agentExample}

func TestEveryArgumentIsDocumented(t *testing.T) {
	for root := range examples {
		for _, b := range documented(root) {
			if b.doc == "" {
				t.Errorf("block %q has no description", b.name)
			}
			seen := map[string]bool{}
			for _, a := range b.attributes {
				if a.doc == "" || a.kind.describe() == "" {
					t.Errorf("%s: %s has no description", b.name, a.name)
				}
				if b.effect(a) == "" {
					t.Errorf("%s: nothing says when a change of %s has effect", b.name, a.name)
				}
				if seen[a.name] || a.required && a.fallback != "" {
					t.Errorf("%s: %s stands twice, or is required and has a default", b.name, a.name)
				}
				seen[a.name] = true
			}
		}
	}
}

// The examples show everything there is, so what decoding forgets to read shows in TestExampleLoads and
// TestAgentExampleLoads.
func TestExamplesAreComplete(t *testing.T) {
	for root, example := range examples {
		for _, b := range documented(root) {
			for _, a := range b.attributes {
				if !regexp.MustCompile(`(?m)(^|\{)\s*(# )?` + a.name + `\s+=`).MatchString(example) {
					t.Errorf("the example does not show %s of %q", a.name, b.name)
				}
			}
		}
	}
}
