// Package script makes modules of plugins in script languages: it puts the
// interpreter, the API of the language and the plugin into one module. Where
// these come from, and when it is done, is package toolchain's business.
package script

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/wasmta/wasmta/mta/internal/linker"
	"github.com/wasmta/wasmta/sdk"
	"github.com/wasmta/wasmta/sdk/abi"
)

// Version is that of what is added to interpreters; with another one, modules
// are made anew.
const Version = "1"

// spoken are the grants beyond the default ones that a plugin needs if a word
// of the pattern stands in its source: it calls their functions by them.
var spoken = map[abi.Grant]*regexp.Regexp{
	abi.GrantSend: regexp.MustCompile(`\bsend(_message)?\b`),
	abi.GrantKV:   regexp.MustCompile(`\bkv\b`),
	abi.GrantDNS:  regexp.MustCompile(`\bdns\b`),
}

// granted is the comment by which a plugin says what it needs and no more.
var granted = regexp.MustCompile(`(?m)^\s*(?://|#)\s*mta: grants?\b(.*)$`)

// functions are those of the ABI that the plugin of this source may call. A
// module is refused if it imports what it is not granted, so it has those of
// the default grants and of the grants that it speaks of, or what its comment
// says.
func functions(source string) ([]abi.Function, error) {
	grants := abi.DefaultGrants
	for grant, words := range spoken {
		if words.MatchString(source) {
			grants |= grant
		}
	}
	if m := granted.FindStringSubmatch(source); m != nil {
		var err error
		if grants, err = abi.ParseGrants(strings.FieldsFunc(m[1], func(r rune) bool { return strings.ContainsRune(", \t\r", r) })...); err != nil {
			return nil, fmt.Errorf("the comment %q: %w", strings.TrimSpace(m[0]), err)
		}
	}
	var list []abi.Function
	for _, f := range abi.Functions {
		if grants.Lacks(f.Grant) == 0 {
			list = append(list, f)
		}
	}
	return list, nil
}

// hooks are those whose name in a script, made by spell, some pattern finds in
// the source: patterns have %s in the name's place. on_load is not among them.
func hooks(source string, spell func(hook string) string, patterns ...string) ([]string, error) {
	var found []string
	for _, hook := range abi.Hooks {
		if hook == abi.HookLoad {
			continue
		}
		for _, p := range patterns {
			if regexp.MustCompile(fmt.Sprintf(p, spell(hook))).MatchString(source) {
				found = append(found, hook)
				break
			}
		}
	}
	if len(found) == 0 {
		return nil, fmt.Errorf("the plugin has no hook; a filter has %s", spell(abi.HookMessage))
	}
	return found, nil
}

// letter is how the APIs are told what a parameter or a result is.
var letter = map[abi.Kind]string{
	abi.None: "", abi.I32: "i", abi.I64: "l", abi.F64: "d", abi.In: "s", abi.Out: "o", abi.OutI64: "p",
}

func letters(f abi.Function) string {
	var s strings.Builder
	for _, p := range f.Params {
		s.WriteString(letter[p.Kind])
	}
	return s.String()
}

var core = map[abi.Kind]linker.Type{abi.I32: linker.I32, abi.I64: linker.I64, abi.F64: linker.F64}

func signature(f abi.Function) linker.Signature {
	types := func(kinds []abi.Kind) []linker.Type {
		var list []linker.Type
		for _, k := range kinds {
			list = append(list, core[k])
		}
		return list
	}
	params, results := f.Core()
	return linker.Signature{Params: types(params), Results: types(results)}
}

// Names of functions that adapters share.
const (
	dispatch = "mta_dispatch"
	answer   = "mta_answer" // a global: what the hook returns
)

// addDispatch adds the imports, and a function that calls the one of a number,
// which is its place in list:
//
//	void mta_dispatch(int number, int64_t *frame)
//
// The frame has the result, which is written, and then each core parameter in
// eight octets. It needs no memory of its own, as all is in the frame.
func addDispatch(l *linker.Linker, list []abi.Function) {
	for _, f := range list {
		l.Import(abi.Module, f.Name, signature(f))
	}
	l.Define(linker.Func{
		Name:      dispatch,
		Signature: linker.Signature{Params: []linker.Type{linker.I32, linker.I32}},
		Body: func(c *linker.Code) {
			const number, frame = 0, 1
			for range len(list) + 1 {
				c.Block()
			}
			c.Get(number).BrTable(len(list)).End()
			for _, f := range list {
				s := signature(f)
				c.Get(frame)
				for i, t := range s.Params {
					c.Get(frame).Load(t, 8+8*i)
				}
				c.Call(abi.Module + "." + f.Name)
				switch {
				case len(s.Results) == 0:
					c.Drop()
				case s.Results[0] == linker.I32:
					c.Extend().Store(linker.I64, 0)
				default:
					c.Store(linker.I64, 0)
				}
				c.Return().End()
			}
			c.Unreachable()
		},
	})
}

// addStub replaces an import by a function that does nothing and gives zero.
func addStub(l *linker.Linker, i linker.Import) {
	name := "stub " + i.Module + " " + i.Name
	l.Define(linker.Func{Name: name, Signature: i.Signature, Body: func(c *linker.Code) {
		if len(i.Results) > 0 {
			c.Const(0)
		}
	}})
	l.Replace(i.Module, i.Name, name)
}

// api is the source of an SDK.
func api(name string) string {
	b, err := sdk.Files.ReadFile(name)
	if err != nil {
		panic(err) // it is embedded
	}
	return string(b)
}

// A block is text that is put into a guest's memory as a whole.
type block struct {
	octets []byte
}

// add gives the offset of octets in the block, where a NUL follows them.
func (b *block) add(octets string) (offset int) {
	offset = len(b.octets)
	b.octets = append(append(b.octets, octets...), 0)
	return offset
}

// reserve gives the offset of n zeros, at a multiple of eight.
func (b *block) reserve(n int) (offset int) {
	for len(b.octets)%8 != 0 {
		b.octets = append(b.octets, 0)
	}
	offset = len(b.octets)
	b.octets = append(b.octets, make([]byte, n)...)
	return offset
}
