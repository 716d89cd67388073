package script

import (
	"fmt"
	"slices"
	"strings"

	"github.com/wasmta/wasmta/mta/internal/linker"
	"github.com/wasmta/wasmta/sdk/abi"
	"github.com/wasmta/wasmta/sdk/bundle"
)

// Ruby makes a plugin of a program in Ruby, whose files are below plugin.rb by
// their names, and ruby.wasm of the npm package @ruby/3.4-wasm-wasi. Plugins
// with the same hooks and grants differ in their bundle alone: to compile Ruby
// takes many seconds, and what is compiled serves all of them. Equal inputs
// give equal octets.
func Ruby(runtime []byte, files map[string][]byte) ([]byte, error) {
	source := string(files["plugin.rb"])
	l, err := linker.New(runtime)
	if err != nil {
		return nil, fmt.Errorf("ruby: %w", err)
	}
	built, err := hooks(source, func(hook string) string { return hook }, `(?m)^\s*MTA\.%s\b`)
	if err != nil {
		return nil, err
	}
	list, err := functions(source)
	if err != nil {
		return nil, err
	}
	rb := &rubyVM{Linker: l}
	rb.layOut(list, built)
	addDispatch(l, list)
	rb.addWrite()
	rb.addLoad()
	rb.addRun()
	rb.addHooks(built)
	rb.addHandles()
	for _, i := range l.Imports(abi.Module, wasi, handles) {
		addStub(l, i) // what Ruby asks of a browser
	}
	module, err := l.Module()
	if err != nil {
		return nil, err
	}
	return bundle.Write(module, bundle.Bundle{Mode: bundle.Native, Files: files})
}

const (
	wasi    = "wasi_snapshot_preview1"
	handles = "canonical_abi" // of Ruby's values
)

// Exports of Ruby.
const (
	rubyInit     = "ruby-init: func(args: list<string>) -> ()"
	rubyEval     = "rb-eval-string-protect: func(str: string) -> tuple<handle<rb-abi-value>, s32>"
	rubyDrop     = "canonical_abi_drop_rb-abi-value"
	rubyAllocate = "cabi_realloc"
)

// rubyVM writes the adapter: what is between the ABI and the functions that
// Ruby exports. A plugin calls the ABI by what it writes to standard output,
// which this adapter takes before it leaves the module.
type rubyVM struct {
	*linker.Linker
	block block

	api, run      text
	args, argList int
}

// rubyArgs are the arguments of the interpreter: no program, text in UTF-8, and
// no look for a library that is not there.
var rubyArgs = []string{"ruby", "--disable-gems", "-EUTF-8", "-e0"}

func (rb *rubyVM) layOut(list []abi.Function, built []string) {
	rb.api = rb.block.text(rubyAPI(list, built))
	rb.run = rb.block.text("MTA::Adapter.run")
	rb.args = rb.block.add(strings.Join(rubyArgs, "\x00"))
	rb.argList = rb.block.reserve(8 * len(rubyArgs))
	rb.Data("block", rb.block.octets)
	for _, name := range []string{"block", "hook", answer} {
		rb.Global(name)
	}
}

// rubyAPI is the API's source, and a call that loads the plugin.
func rubyAPI(list []abi.Function, built []string) string {
	var table []string
	for i, f := range list {
		table = append(table, fmt.Sprintf("%q => [%d, %q, %q]", f.Name, i, letters(f), letter[f.Result]))
	}
	return api("ruby/mta.rb") + fmt.Sprintf(`
MTA::ABI.functions = { %s }
MTA::Adapter.load(%q, %s, %s)
`, strings.Join(table, ", "), bundle.Folder+"/plugin.rb", words(abi.Hooks[:]), words(built))
}

// words is a list of names in Ruby.
func words(names []string) string { return "%w[" + strings.Join(names, " ") + "]" }

// at puts the address of an offset of the block on the stack.
func (rb *rubyVM) at(c *linker.Code, offset int) *linker.Code {
	return c.GlobalGet("block").Const(offset).Add()
}

// eval evaluates a copy of a text, as Ruby frees what it is given, and leaves
// its status on the stack: zero, unless an exception ended it. temp is a local.
func (rb *rubyVM) eval(c *linker.Code, t text, temp int) *linker.Code {
	c.Const(0).Const(0).Const(1).Const(t.length).Call(rubyAllocate).Set(temp)
	c.Get(temp)
	rb.at(c, t.offset).Const(t.length).Copy()
	c.Get(temp).Const(t.length).Call(rubyEval).Set(temp)
	c.Get(temp).Load(linker.I32, 0).Call(rubyDrop) // the value is not wanted
	return c.Get(temp).Load(linker.I32, 4)
}

// addLoad defines int load(void): it starts the interpreter and evaluates the
// API, which evaluates the plugin.
func (rb *rubyVM) addLoad() {
	rb.Define(linker.Func{
		Name: "load", Signature: linker.Signature{Results: []linker.Type{linker.I32}},
		Locals: []linker.Type{linker.I32},
		Body: func(c *linker.Code) {
			const temp = 0
			c.Const(0).Const(0).Const(8).Const(len(rb.block.octets)).Call(rubyAllocate).GlobalSet("block")
			c.GlobalGet("block").Init("block")
			rb.start(c)
			rb.eval(c, rb.api, temp).If().Const(-1).Return().End()
			c.Const(0)
		},
	})
}

// start starts the interpreter. The strings and their list are never freed, as
// Ruby keeps them.
func (rb *rubyVM) start(c *linker.Code) {
	at := rb.args
	for i, arg := range rubyArgs {
		rb.at(c, rb.argList+8*i)
		rb.at(c, at).Store(linker.I32, 0)
		rb.at(c, rb.argList+8*i).Const(len(arg)).Store(linker.I32, 4)
		at += len(arg) + 1
	}
	rb.at(c, rb.argList).Const(len(rubyArgs)).Call(rubyInit)
}

// addRun defines int run(int hook).
func (rb *rubyVM) addRun() {
	rb.Define(linker.Func{
		Name: "run", Signature: linker.Signature{Params: []linker.Type{linker.I32}, Results: []linker.Type{linker.I32}},
		Locals: []linker.Type{linker.I32},
		Body: func(c *linker.Code) {
			const hook, temp = 0, 1
			c.Const(-1).GlobalSet(answer).Get(hook).GlobalSet("hook")
			rb.eval(c, rb.run, temp).If().Const(-1).GlobalSet(answer).End()
			c.GlobalGet(answer)
		},
	})
}

// addHooks exports the hooks, and on_load, which loads the plugin.
func (rb *rubyVM) addHooks(built []string) {
	rb.Keep("memory", abi.Initialize)
	for i, hook := range abi.Hooks {
		load := hook == abi.HookLoad
		if !load && !slices.Contains(built, hook) {
			continue
		}
		rb.Define(linker.Func{
			Name: "hook " + hook, Signature: linker.Signature{Results: []linker.Type{linker.I32}},
			Body: func(c *linker.Code) {
				if load {
					c.Call("load").If().Const(-1).Return().End()
				}
				c.Const(i).Call("run")
			},
		})
		rb.Export(hook, "hook "+hook)
	}
}

// addHandles defines what stands for values of Ruby outside: their addresses.
func (rb *rubyVM) addHandles() {
	for _, i := range rb.Imports(abi.Module, wasi) {
		if i.Module != handles {
			continue
		}
		if !strings.HasSuffix(i.Name, "_rb-abi-value") {
			addStub(rb.Linker, i)
			continue
		}
		rb.Define(linker.Func{Name: i.Name, Signature: i.Signature, Body: func(c *linker.Code) { c.Get(0) }})
		rb.Replace(i.Module, i.Name, i.Name)
	}
}

// rubyMagic begins what is a call and no output.
const rubyMagic = "\x00mta\x00abi"

// addWrite defines fd_write of WASI. A write of a frame to standard output is a
// call:
//
//	magic (8 octets), number (i32), address of the result, parameters
//
// with eight octets each. Numbers below zero are the adapter's: -1 gives the
// hook in hand, -2 takes what it answers.
func (rb *rubyVM) addWrite() {
	four := []linker.Type{linker.I32, linker.I32, linker.I32, linker.I32}
	sig := linker.Signature{Params: four, Results: []linker.Type{linker.I32}}
	rb.Define(linker.Func{
		Name: "fd_write", Signature: sig, Locals: []linker.Type{linker.I32, linker.I32, linker.I32},
		Body: func(c *linker.Code) {
			const fd, vectors, count, written = 0, 1, 2, 3
			const frame, number, result = 4, 5, 6
			c.Block()
			c.Get(fd).Const(1).Ne().BrIf(0)
			c.Get(count).Const(1).Ne().BrIf(0)
			c.Const(rubyFrame-1).Get(vectors).Load(linker.I32, 4).GtS().BrIf(0)
			c.Get(vectors).Load(linker.I32, 0).Set(frame)
			for i := 0; i < len(rubyMagic); i += 4 {
				c.Get(frame).Load(linker.I32, i).Const(word(rubyMagic[i:])).Ne().BrIf(0)
			}
			c.Get(written).Get(vectors).Load(linker.I32, 4).Store(linker.I32, 0)
			c.Get(frame).Load(linker.I32, 8).Set(number)
			c.Get(frame).Load(linker.I32, 16).Set(result)
			c.Get(number).Const(-1).Eq().If()
			c.Get(result).GlobalGet("hook").Store(linker.I32, 0).Const(0).Return().End()
			c.Get(number).Const(-2).Eq().If()
			c.Get(frame).Load(linker.I32, 24).GlobalSet(answer).Const(0).Return().End()
			c.Get(number).Get(frame).Const(16).Add().Call(dispatch)
			c.Get(result).Get(frame).Load(linker.I64, 16).Store(linker.I64, 0)
			c.Const(0).Return().End()
			c.Get(fd).Get(vectors).Get(count).Get(written).Call(wasi + ".fd_write")
		},
	})
	rb.Import(wasi, "fd_write", sig)
	rb.Replace(wasi, "fd_write", "fd_write")
}

// rubyFrame is the length of a frame without parameters.
const rubyFrame = 24

// word is the number that four octets are.
func word(s string) int {
	return int(int32(uint32(s[0]) | uint32(s[1])<<8 | uint32(s[2])<<16 | uint32(s[3])<<24))
}
