package config

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"unicode/utf8"

	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/function"
)

const maxSecret = 64 << 10 // bytes that file returns at most

// secretMark stays on whatever is made of a secret, so that the HCL library does not show it.
type secretMark struct{}

// valueFunctions returns what expressions may call: file and env. Both return secrets; their errors name neither the file
// nor the variable, which may come from a secret itself and stand in the source line otherwise.
func (l *loader) valueFunctions() *hcl.EvalContext {
	return &hcl.EvalContext{Functions: map[string]function.Function{
		"file": l.secretFunction("path", l.readSecret),
		"env":  l.secretFunction("name", readEnv),
	}}
}

func (l *loader) secretFunction(parameter string, read func(string) (string, error)) function.Function {
	return function.New(&function.Spec{
		Params: []function.Parameter{{Name: parameter, Type: cty.String}},
		Type:   function.StaticReturnType(cty.String),
		Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
			secret, err := read(args[0].AsString())
			if err != nil {
				return cty.NilVal, err
			}
			if !utf8.ValidString(secret) {
				return cty.NilVal, errors.New("the value is not UTF-8")
			}
			l.secrets = append(l.secrets, secret)
			return cty.StringVal(secret).Mark(secretMark{}), nil
		},
	})
}

// readSecret returns a file without one line end at its end, as editors leave it there.
func (l *loader) readSecret(path string) (string, error) {
	path = l.path(path)
	content, err := readRegular(path, maxSecret)
	if err != nil {
		return "", fmt.Errorf("cannot read the file: %w", err)
	}
	l.noteFile(path)
	return strings.TrimSuffix(strings.TrimSuffix(string(content), "\n"), "\r"), nil
}

func readEnv(name string) (string, error) {
	value, set := os.LookupEnv(name)
	if !set {
		return "", errors.New("the environment variable is not set")
	}
	return value, nil
}

// conceal removes what the HCL library says of an expression that holds a secret: it may quote the secret, in any form.
func conceal(diagnostics hcl.Diagnostics, secrets []string) {
	if len(secrets) == 0 {
		return
	}
	for _, d := range diagnostics {
		d.Summary, d.Detail = "Bad expression", "The details are not shown, as they may hold what file or env returned."
	}
}
