package config

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/function"

	"jackfield"
	"jackfield/internal/access"
)

// conditionVariable is what a condition may look at.
type conditionVariable struct {
	name  string
	typ   cty.Type
	doc   string
	value func(*jackfield.Request) cty.Value
}

var conditionVariables = []conditionVariable{
	{"user", cty.String, "who the client proved to be, or `\"\"`", func(r *jackfield.Request) cty.Value {
		return cty.StringVal(r.Identity.User)
	}},
	{"groups", cty.List(cty.String), "the groups that the client proved to be in", func(r *jackfield.Request) cty.Value {
		return stringList(r.Identity.Groups)
	}},
	{"address", cty.String, "the client's IP address, as in `\"10.0.0.7\"`", func(r *jackfield.Request) cty.Value {
		return cty.StringVal(r.Source.Addr().Unmap().WithZone("").String())
	}},
	{"service", cty.String, "the full name that was asked for, in lower case", func(r *jackfield.Request) cty.Value {
		return cty.StringVal(string(r.Service))
	}},
	{"listener", cty.String, "the name of the listener, in lower case", func(r *jackfield.Request) cty.Value {
		return cty.StringVal(r.Listener)
	}},
	{"hour", cty.Number, "0 to 23, when the connection came, in the server's local time", func(r *jackfield.Request) cty.Value {
		return cty.NumberIntVal(int64(r.Time.Local().Hour()))
	}},
	{"weekday", cty.String, "`\"monday\"` to `\"sunday\"`, likewise", func(r *jackfield.Request) cty.Value {
		return cty.StringVal(strings.ToLower(r.Time.Local().Weekday().String()))
	}},
}

func stringList(words []string) cty.Value {
	if len(words) == 0 {
		return cty.ListValEmpty(cty.String)
	}
	values := make([]cty.Value, len(words))
	for i, w := range words {
		values[i] = cty.StringVal(w)
	}
	return cty.ListVal(values)
}

// conditionFunctions is what a condition may call. There is no file and no env: a condition is evaluated for each request.
var conditionFunctions = map[string]function.Function{
	"contains": function.New(&function.Spec{
		Params: []function.Parameter{
			{Name: "list", Type: cty.List(cty.String)},
			{Name: "element", Type: cty.String},
		},
		Type: function.StaticReturnType(cty.Bool),
		Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
			for _, element := range args[0].AsValueSlice() {
				if element.RawEquals(args[1]) {
					return cty.True, nil
				}
			}
			return cty.False, nil
		},
	}),
	"cidr_contains": function.New(&function.Spec{
		Params: []function.Parameter{
			{Name: "network", Type: cty.String},
			{Name: "address", Type: cty.String},
		},
		Type: func(args []cty.Value) (cty.Type, error) { // called when the configuration is loaded, too
			if args[0].IsKnown() {
				if _, err := parseNetwork(args[0].AsString()); err != nil {
					return cty.Bool, function.NewArgError(0, err)
				}
			}
			return cty.Bool, nil
		},
		Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
			network, err := parseNetwork(args[0].AsString())
			if err != nil {
				return cty.False, function.NewArgError(0, err)
			}
			address, err := netip.ParseAddr(args[1].AsString())
			if err != nil {
				return cty.False, function.NewArgError(1, errors.New("not an IP address"))
			}
			return cty.BoolVal(network.Contains(address.Unmap().WithZone(""))), nil
		},
	}),
}

// condition checks an expression against unknown values of the right types and compiles it.
func (s *section) condition(name string) access.Condition {
	if !s.has(name) {
		return nil
	}
	expr := s.attributes[name].Expr
	if !s.knowsVariables(expr) {
		return nil
	}
	unknown := map[string]cty.Value{}
	for _, v := range conditionVariables {
		unknown[v.name] = cty.UnknownVal(v.typ)
	}
	value, diagnostics := expr.Value(&hcl.EvalContext{Variables: unknown, Functions: conditionFunctions})
	s.problems.add(diagnostics...)
	if diagnostics.HasErrors() {
		return nil
	}
	if value.Type() != cty.Bool || value.IsNull() {
		s.bad(expr.Range(), name, `a condition must be true or false, such as: hour >= 7 && hour < 20`)
		return nil
	}
	return compile(expr)
}

// knowsVariables reports every unknown variable, in branches too that evaluation would pass over.
func (s *section) knowsVariables(expr hcl.Expression) bool {
	names := make([]string, len(conditionVariables))
	for i, v := range conditionVariables {
		names[i] = v.name
	}
	known := true
	for _, used := range expr.Variables() {
		if !slices.Contains(names, used.RootName()) {
			known = false
			s.fail(used.SourceRange(), "Unknown variable", "%sa condition knows %s.%s",
				s.source(used.SourceRange()), strings.Join(names, ", "), didYouMean(used.RootName(), names))
		}
	}
	return known
}

// compile returns a condition that may be evaluated by many goroutines at once. Its errors name no value of the request.
func compile(expr hcl.Expression) access.Condition {
	functions := &hcl.EvalContext{Functions: conditionFunctions}
	return func(r *jackfield.Request) (bool, error) {
		evaluation := functions.NewChild()
		evaluation.Variables = make(map[string]cty.Value, len(conditionVariables))
		for _, v := range conditionVariables {
			evaluation.Variables[v.name] = v.value(r)
		}
		value, diagnostics := expr.Value(evaluation)
		if diagnostics.HasErrors() {
			return false, fmt.Errorf("%s: %s", diagnostics[0].Summary, diagnostics[0].Detail)
		}
		if value.Type() != cty.Bool || value.IsNull() || !value.IsKnown() {
			return false, errors.New("the condition is neither true nor false")
		}
		return value.True(), nil
	}
}
