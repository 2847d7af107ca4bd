package config

import (
	"bytes"
	"regexp"
	"slices"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// passwordHash is the argument whose value is a secret wherever it comes from.
const passwordHash = "password_hash"

// Secrets that are known by how they look, whatever the argument is called.
var (
	argon2   = regexp.MustCompile(`(\$argon2[^"\s]*)`)
	userinfo = regexp.MustCompile(`(?:://|\burl\s*=\s*"(?:\w*://)?)([^\n]*)@`) // of a URL: up to the last "@" of the line
	digits   = regexp.MustCompile(`\b((?:[0-9A-Fa-f]{32}){1,2})\b`)            // a key of 128 or 256 bits
)

// masked returns src as problems may show it: with asterisks for secrets that stand in the file itself, although they
// should not. A file that breaks the syntax has them, too, so it goes by words. No place moves.
func masked(src []byte, path string) []byte {
	shown := bytes.Clone(src)
	for _, secret := range []*regexp.Regexp{argon2, userinfo, digits} {
		for _, at := range secret.FindAllSubmatchIndex(src, -1) {
			mask(shown[at[2]:at[3]])
		}
	}
	if !bytes.Contains(src, []byte(passwordHash)) {
		return shown
	}
	tokens, _ := hclsyntax.LexConfig(src, path, hcl.InitialPos)
	for len(tokens) > 0 {
		name := tokens[0]
		tokens = tokens[1:]
		if name.Type == hclsyntax.TokenIdent && string(name.Bytes) == passwordHash {
			value := assigned(tokens)
			for _, at := range words(value) {
				mask(at.SliceBytes(shown))
			}
			tokens = tokens[len(value):]
		}
	}
	return shown
}

// mask leaves line ends where they are.
func mask(shown []byte) {
	for i, b := range shown {
		if b != '\n' && b != '\r' {
			shown[i] = '*'
		}
	}
}

// assigned returns the tokens of a value: up to the end of the line, or of that on which the last bracket or quote closes.
func assigned(tokens hclsyntax.Tokens) hclsyntax.Tokens {
	depth := 0
	for i, token := range tokens {
		switch {
		case slices.Contains(openers, token.Type):
			depth++
		case slices.Contains(closers, token.Type):
			depth--
		case token.Type == hclsyntax.TokenNewline && depth <= 0, token.Type == hclsyntax.TokenEOF:
			return tokens[:i]
		}
	}
	return tokens
}

// words returns where all stands but brackets, quotes, and calls of functions with what they are given: a secret that comes
// by file or env does not stand there.
func words(tokens hclsyntax.Tokens) []hcl.Range {
	call := []hclsyntax.TokenType{
		hclsyntax.TokenIdent, hclsyntax.TokenOParen, hclsyntax.TokenOQuote, hclsyntax.TokenQuotedLit, hclsyntax.TokenCQuote,
		hclsyntax.TokenCParen,
	}
	var found []hcl.Range
	for len(tokens) > 0 {
		first := tokens[0]
		if len(tokens) >= len(call) && slices.EqualFunc(tokens[:len(call)], call, hasType) {
			tokens = tokens[len(call):]
			continue
		}
		if !slices.Contains(openers, first.Type) && !slices.Contains(closers, first.Type) && first.Type != hclsyntax.TokenEqual {
			found = append(found, first.Range)
		}
		tokens = tokens[1:]
	}
	return found
}

func hasType(t hclsyntax.Token, want hclsyntax.TokenType) bool { return t.Type == want }
