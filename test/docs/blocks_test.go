package docs

import (
	"slices"
	"strings"
	"testing"
)

// A block is a fenced block that is marked sh.
type block struct {
	line int // of its first command, from 1
	text string
}

// blocks finds the blocks to be run in a document.
func blocks(markdown string) []block {
	const fence = "```"
	var found []block
	var current *block
	fenced := false
	for i, line := range strings.Split(markdown, "\n") {
		mark, isFence := strings.CutPrefix(line, fence)
		switch {
		case fenced && line == fence:
			if current != nil {
				found = append(found, *current)
			}
			current, fenced = nil, false
		case isFence && !fenced:
			if mark == "sh" {
				current = &block{line: i + 2}
			}
			fenced = true
		case current != nil:
			current.text += line + "\n"
		}
	}
	return found
}

func TestBlocks(t *testing.T) {
	const document = "One\n```sh\na\n\nb\n```\nTwo\n```text\n```sh\n```\n```sh\nc\n```\n```console\nd\n```\n"
	want := []block{{3, "a\n\nb\n"}, {12, "c\n"}}
	if got := blocks(document); !slices.Equal(got, want) {
		t.Errorf("%+v, not %+v", got, want)
	}
}
