// Package abidoc reads the examples of the ABI's specification (sdk/ABI.md), for
// whoever wants to see that a host does what is written there.
package abidoc

import (
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"

	"github.com/wasmta/wasmta/sdk/abi"
	"github.com/wasmta/wasmta/sdk/testcase"
)

// A Document is what the specification says of functions, and the case that
// its examples are about.
type Document struct {
	World     testcase.Case
	Functions []Function
}

// A Function is what the specification says of one function.
type Function struct {
	Name     string
	Declared string // its core type, grants and hooks, as they are written
	Examples []Example
}

// An Example is one hook call.
type Example struct {
	Text   string
	Hook   string
	Grants abi.Grant
	Steps  []Step
	Result []string // lines of what came of it, as in [testcase.Result.Text]
}

// A Step is one line of an example. One of its fields is set.
type Step struct {
	Line   string
	Put    *Octets // the guest writes
	Call   *Call
	Look   *Octets // the guest finds
	Return *int32  // the end of the hook
}

// Octets are some at a place of the guest's memory.
type Octets struct {
	At    int64
	Bytes []byte
}

// A Call is one of a function, with core values: those of F64 as their bits.
type Call struct {
	Function abi.Function
	Args     []int64
	Result   int64 // zero if it has none
}

// Parse reads the document.
func Parse(text string) (*Document, error) {
	worlds := testcase.Blocks(text, "txtar")
	if len(worlds) != 1 {
		return nil, fmt.Errorf("%d blocks of txtar, want one", len(worlds))
	}
	world, err := testcase.Parse([]byte(worlds[0]))
	if err != nil {
		return nil, err
	}
	d := &Document{World: world}
	for part := range strings.SplitSeq(text, "\n### ") {
		title, body, _ := strings.Cut(part, "\n")
		name := strings.Trim(title, "`")
		if title != "`"+name+"`" {
			continue
		}
		body, _, _ = strings.Cut(body, "\n## ")
		f := Function{Name: name, Declared: strings.Join(testcase.Blocks(body, "abi"), "\n")}
		for _, block := range testcase.Blocks(body, "example") {
			e, err := parseExample(block)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", name, err)
			}
			f.Examples = append(f.Examples, e)
		}
		d.Functions = append(d.Functions, f)
	}
	return d, nil
}

func parseExample(text string) (Example, error) {
	e := Example{Text: text, Hook: abi.HookMessage, Grants: abi.AllGrants}
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if err := e.line(line); err != nil {
			return e, fmt.Errorf("%s: %w", line, err)
		}
	}
	return e, nil
}

// line takes one line of an example.
func (e *Example) line(line string) (err error) {
	word, rest, _ := strings.Cut(line, " ")
	s := Step{Line: line}
	switch word {
	case "":
		return nil
	case "hook":
		e.Hook = rest
		return nil
	case "grant":
		e.Grants, err = abi.ParseGrants(strings.Fields(rest)...)
		return err
	case ">":
		e.Result = append(e.Result, rest)
		return nil
	case "in":
		s.Put, err = octets(rest)
	case "out":
		s.Look, err = octets(rest)
	case "return":
		var n int64
		n, err = strconv.ParseInt(rest, 10, 32)
		verdict := int32(n)
		s.Return = &verdict
	default:
		s.Call, err = call(line)
	}
	e.Steps = append(e.Steps, s)
	return err
}

// octets reads a place and what is there, as in `0x100 "hello"`.
func octets(s string) (*Octets, error) {
	place, quoted, _ := strings.Cut(s, " ")
	at, err := strconv.ParseInt(place, 0, 32)
	if err != nil {
		return nil, err
	}
	text, err := strconv.Unquote(strings.TrimSpace(quoted))
	return &Octets{At: at, Bytes: []byte(text)}, err
}

var callLine = regexp.MustCompile(`^(\w+)\(([^)]*)\)(?: = (-?\d+))?(?: +#.*)?$`)

// call reads a call, as in `hdr_find(0, 0x100, 7, 0) = 2`.
func call(line string) (*Call, error) {
	m := callLine.FindStringSubmatch(line)
	if m == nil {
		return nil, fmt.Errorf("is no line of an example")
	}
	f, ok := abi.Lookup(m[1])
	if !ok {
		return nil, fmt.Errorf("there is no function %s", m[1])
	}
	if (f.Result == abi.None) != (m[3] == "") {
		return nil, fmt.Errorf("has a result where there is none, or none where there is")
	}
	c := &Call{Function: f}
	params, _ := f.Core()
	var words []string
	if m[2] != "" {
		words = strings.Split(m[2], ",")
	}
	if len(words) != len(params) {
		return nil, fmt.Errorf("has %d values, want %d", len(words), len(params))
	}
	for i, word := range words {
		n, err := number(params[i], strings.TrimSpace(word))
		if err != nil {
			return nil, err
		}
		c.Args = append(c.Args, n)
	}
	if m[3] == "" {
		return c, nil
	}
	var err error
	c.Result, err = strconv.ParseInt(m[3], 10, 64)
	return c, err
}

func number(k abi.Kind, s string) (int64, error) {
	if k == abi.F64 {
		f, err := strconv.ParseFloat(s, 64)
		return int64(math.Float64bits(f)), err
	}
	return strconv.ParseInt(s, 0, 64)
}
