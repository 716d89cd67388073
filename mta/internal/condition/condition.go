// Package condition has the `when:` of a stage: an expression over one
// transaction that is type-checked when the pipeline file is read, and then
// only evaluated. The language is that of expr-lang.org; the names are ours.
package condition

import (
	"errors"
	"fmt"
	"net/netip"
	"regexp"
	"strings"

	"github.com/expr-lang/expr"
	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/file"
	"github.com/expr-lang/expr/vm"

	"github.com/wasmta/wasmta/mta/internal/mail"
)

// The bounds of an expression.
const (
	maxSource = 8 << 10 // octets; what is longer belongs into a plugin
	maxNodes  = 1000    // of the syntax tree
	maxMemory = 100_000 // elements made in one evaluation (expr's memory budget): an expression over mail needs dozens
)

// A Condition is a checked expression. Safe for concurrent use.
type Condition struct {
	source  string
	program *vm.Program
	known   int // the place in hooks from which all of it is known
}

// Compile checks an expression. The error is an [*Error].
func Compile(source string) (*Condition, error) {
	switch {
	case strings.TrimSpace(source) == "":
		return nil, &Error{Message: "empty condition; leave `when` out to run the stage always"}
	case len(source) > maxSource:
		return nil, &Error{Message: fmt.Sprintf("condition of %d octets, the limit is %d; write a plugin", len(source), maxSource)}
	}
	program, err := expr.Compile(source, expr.Env(values{}), expr.AsBool(), expr.MaxNodes(maxNodes),
		expr.DisableBuiltin("now"), // a message's verdict depends on the message
		expr.DisableIfOperator())
	if err != nil {
		return nil, explain(err)
	}
	if err := checkLiterals(program); err != nil {
		return nil, err
	}
	return &Condition{source: source, program: program, known: knownFrom(program)}, nil
}

// String is the expression.
func (c *Condition) String() string { return c.source }

// Match evaluates the expression. Looking at a header field parses the
// message, once: tx.Content is then the parsed one, of the same octets.
func (c *Condition) Match(tx *mail.Transaction) (bool, error) {
	v := valuesOf(tx)
	machine := vm.VM{MemoryBudget: maxMemory}
	result, err := machine.Run(c.program, v)
	if err != nil {
		return false, errors.New(firstLine(err.Error()))
	}
	match, ok := result.(bool)
	if !ok { // AsBool saw to it
		return false, fmt.Errorf("is a %T, not true or false", result)
	}
	return match, nil
}

// An Error is a mistake in an expression.
type Error struct {
	Message string
	line    int
	column  int
}

// Error implements error. It does not say where: see Line and Column.
func (e *Error) Error() string { return e.Message }

// Line is the line of the mistake in the expression, from 1.
func (e *Error) Line() int { return max(e.line, 1) }

// Column is its column in characters, from 1.
func (e *Error) Column() int { return max(e.column, 1) }

var unknownName = regexp.MustCompile(`^unknown name (\w+)`)

// explain turns the library's error into one for an operator.
func explain(err error) *Error {
	e := &Error{Message: firstLine(err.Error())}
	if at, ok := errors.AsType[*file.Error](err); ok {
		e.Message, e.line, e.column = firstLine(at.Message), at.Line, at.Column+1
	}
	if m := unknownName.FindStringSubmatch(e.Message); m != nil {
		e.Message = "unknown name " + m[1]
		if near := nearest(m[1]); near != "" {
			e.Message += "; did you mean " + near + "?"
		} else {
			e.Message += "; known names are " + strings.Join(known(), ", ")
		}
	}
	e.Message = strings.Replace(e.Message, "expected bool, but got", "must be true or false, but is of type", 1)
	return e
}

func firstLine(s string) string {
	s, _, _ = strings.Cut(s, "\n")
	return s
}

// checkLiterals finds networks that are none before any mail does.
func checkLiterals(program *vm.Program) error {
	var found *Error
	node := program.Node()
	ast.Walk(&node, visitor(func(n *ast.Node) {
		call, ok := (*n).(*ast.CallNode)
		if !ok || len(call.Arguments) != 2 {
			return
		}
		name, ok := call.Callee.(*ast.IdentifierNode)
		if !ok || name.Value != "in_network" {
			return
		}
		literal, ok := call.Arguments[1].(*ast.StringNode)
		if !ok {
			return
		}
		if _, err := parseNetwork(literal.Value); err != nil && found == nil {
			at := (&file.Error{Location: literal.Location()}).Bind(program.Source())
			found = &Error{Message: fmt.Sprintf("%q is no network; write it as 10.0.0.0/8 or 2001:db8::/32", literal.Value), line: at.Line, column: at.Column + 1}
		}
	}))
	if found != nil {
		return found
	}
	return nil
}

type visitor func(*ast.Node)

// Visit implements [ast.Visitor].
func (v visitor) Visit(n *ast.Node) { v(n) }

// parseNetwork reads a prefix, or an address as the prefix of itself.
func parseNetwork(s string) (netip.Prefix, error) {
	if a, err := netip.ParseAddr(s); err == nil {
		return netip.PrefixFrom(a, a.BitLen()), nil
	}
	return netip.ParsePrefix(s)
}
