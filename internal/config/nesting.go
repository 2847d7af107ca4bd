package config

import (
	"fmt"
	"slices"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// What one file may hold. The parser and the evaluation of expressions recurse without a limit of their own, and a stack
// that is too deep ends the process.
const (
	maxNesting   = 100    // brackets, braces and templates inside each other
	maxOperators = 20_000 // each may be an operand of the next
	maxDigits    = 32     // of a number; 1e999999999 would become as long a string
)

var (
	openers = []hclsyntax.TokenType{
		hclsyntax.TokenOBrace, hclsyntax.TokenOBrack, hclsyntax.TokenOParen, hclsyntax.TokenOQuote, hclsyntax.TokenOHeredoc,
		hclsyntax.TokenTemplateInterp, hclsyntax.TokenTemplateControl,
	}
	closers = []hclsyntax.TokenType{
		hclsyntax.TokenCBrace, hclsyntax.TokenCBrack, hclsyntax.TokenCParen, hclsyntax.TokenCQuote, hclsyntax.TokenCHeredoc,
		hclsyntax.TokenTemplateSeqEnd,
	}
	operators = []hclsyntax.TokenType{
		hclsyntax.TokenBang, hclsyntax.TokenMinus, hclsyntax.TokenPlus, hclsyntax.TokenStar, hclsyntax.TokenSlash,
		hclsyntax.TokenPercent, hclsyntax.TokenAnd, hclsyntax.TokenOr, hclsyntax.TokenEqualOp, hclsyntax.TokenNotEqual,
		hclsyntax.TokenLessThan, hclsyntax.TokenLessThanEq, hclsyntax.TokenGreaterThan, hclsyntax.TokenGreaterThanEq,
		hclsyntax.TokenQuestion, hclsyntax.TokenDot, hclsyntax.TokenOBrack, hclsyntax.TokenTemplateControl,
	}
)

// checkNesting finds what would make src dangerous to parse. Other mistakes are the parser's to find.
func checkNesting(src []byte, path string) *hcl.Diagnostic {
	tokens, _ := hclsyntax.LexConfig(src, path, hcl.InitialPos)
	depth, operations := 0, 0
	for _, token := range tokens {
		if slices.Contains(openers, token.Type) {
			depth++
		}
		if slices.Contains(closers, token.Type) {
			depth = max(depth-1, 0)
		}
		if slices.Contains(operators, token.Type) {
			operations++
		}
		tooMuch := ""
		switch {
		case depth > maxNesting:
			tooMuch = fmt.Sprintf("Brackets and templates may be nested %d deep", maxNesting)
		case operations > maxOperators:
			tooMuch = fmt.Sprintf("One file may hold %d operators and brackets", maxOperators)
		case token.Type == hclsyntax.TokenNumberLit && len(token.Bytes) > maxDigits:
			tooMuch = fmt.Sprintf("A number may have %d digits", maxDigits)
		case token.Type == hclsyntax.TokenNumberLit && slices.ContainsFunc(token.Bytes, isExponent):
			tooMuch = "Numbers are written without an exponent"
		}
		if tooMuch != "" {
			return &hcl.Diagnostic{
				Severity: hcl.DiagError,
				Summary:  "Configuration too complicated",
				Detail:   tooMuch + "; the rest of this file was not read.",
				Subject:  &token.Range,
			}
		}
	}
	return nil
}

func isExponent(c byte) bool { return c == 'e' || c == 'E' }
