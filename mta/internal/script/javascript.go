package script

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/wasmta/wasmta/mta/internal/linker"
	"github.com/wasmta/wasmta/sdk/abi"
)

// JavaScript makes a plugin of a program in JavaScript, which is a module
// (ECMAScript), and quickjs.wasm of the npm package quickjs-wasi. Equal inputs
// give equal octets.
func JavaScript(runtime []byte, source string) ([]byte, error) {
	l, err := linker.New(runtime)
	if err != nil {
		return nil, fmt.Errorf("QuickJS: %w", err)
	}
	built, err := javaScriptHooks(source)
	if err != nil {
		return nil, err
	}
	list, err := functions(source)
	if err != nil {
		return nil, err
	}
	js := &quickJS{Linker: l}
	js.layOut(source, list, built)
	addDispatch(l, list)
	js.addHostCall()
	js.addLoad()
	js.addRun()
	js.addHooks(built)
	l.Replace("env", "host_call", "host_call")
	for _, i := range l.Imports(abi.Module, wasi) {
		if i.Name != "host_call" {
			addStub(l, i) // interrupts, modules from elsewhere, time zones: there are none
		}
	}
	return l.Module()
}

func javaScriptHooks(source string) ([]string, error) {
	return hooks(source, javaScriptName, `(?m)^\s*export\s+(?:async\s+)?function\s+%s\b`,
		`(?m)^\s*export\s+(?:const|let|var)\s+%s\b`, `(?m)^\s*export\s*\{[^}]*\b%s\b`)
}

// javaScriptName is a hook's name as JavaScript has it: onMessage.
func javaScriptName(hook string) string {
	_, name, _ := strings.Cut(hook, "_")
	return "on" + strings.ToUpper(name[:1]) + name[1:]
}

// quickJS writes the adapter: what is between the ABI and QuickJS's functions
// in C, which take and give addresses of values. All that it needs in memory is
// in one block, whose address is in the global "block".
type quickJS struct {
	*linker.Linker
	block block

	api, plugin                           text
	apiFile, pluginFile                   int
	native, nameLoad, nameRun, nameFailed int
	args, length                          int
}

// A text is octets in the block.
type text struct{ offset, length int }

func (b *block) text(s string) text { return text{b.add(s), len(s)} }

// moduleFlag makes qjs_eval take the source as a module.
const moduleFlag = 1

func (js *quickJS) layOut(source string, list []abi.Function, built []string) {
	js.api = js.block.text(javaScriptAPI(list, built))
	js.plugin = js.block.text(source)
	js.apiFile, js.pluginFile = js.block.add("mta.js"), js.block.add("plugin.js")
	js.native, js.nameLoad = js.block.add("__native"), js.block.add("load")
	js.nameRun, js.nameFailed = js.block.add("run"), js.block.add("failed")
	js.args, js.length = js.block.reserve(8), js.block.reserve(8)
	js.Data("block", js.block.octets)
	for _, name := range []string{"block", "api", "run", answer} {
		js.Global(name)
	}
}

// javaScriptAPI is the API's source, called with the tables that it needs.
func javaScriptAPI(list []abi.Function, built []string) string {
	type function struct {
		Number int    `json:"number"`
		Params string `json:"params"`
		Result string `json:"result"`
	}
	table := map[string]function{}
	for i, f := range list {
		table[f.Name] = function{i, letters(f), letter[f.Result]}
	}
	var all, names []string
	for _, hook := range abi.Hooks {
		all = append(all, javaScriptName(hook))
	}
	for _, hook := range built {
		names = append(names, javaScriptName(hook))
	}
	args, err := json.Marshal([]any{table, all, names})
	if err != nil {
		panic(err) // strings and numbers always have a form in JSON
	}
	tables := strings.TrimSuffix(strings.TrimPrefix(string(args), "["), "]")
	source := api("javascript/mta.js")
	return "(" + strings.TrimSpace(source[strings.Index(source, "(function"):]) +
		")(globalThis, __native, " + tables + ")"
}

// at puts the address of an offset of the block on the stack.
func (js *quickJS) at(c *linker.Code, offset int) *linker.Code {
	return c.GlobalGet("block").Const(offset).Add()
}

// eval evaluates a text, and leaves the address of its value on the stack.
func (js *quickJS) eval(c *linker.Code, t text, file, flags int) *linker.Code {
	js.at(c, t.offset).Const(t.length)
	return js.at(c, file).Const(flags).Call("qjs_eval")
}

// addLoad defines int load(void): it starts the interpreter, evaluates the API
// and then the plugin, and gives 0 if both could be read.
func (js *quickJS) addLoad() {
	js.Define(linker.Func{
		Name: "load", Signature: linker.Signature{Results: []linker.Type{linker.I32}}, Locals: []linker.Type{linker.I32},
		Body: func(c *linker.Code) {
			const value = 0
			c.Call("qjs_init").If().Unreachable().End()
			c.Const(len(js.block.octets)).Call("wasm_malloc").GlobalSet("block")
			c.GlobalGet("block").Init("block")
			c.Call("qjs_get_global")
			js.at(c, js.native)
			js.at(c, js.native).Const(len("__native")).Const(0).Call("qjs_new_host_function")
			c.Call("qjs_set_prop_string").Drop()
			js.eval(c, js.api, js.apiFile, 0).GlobalSet("api")
			c.GlobalGet("api").Call("qjs_is_exception").If().Unreachable().End()
			c.GlobalGet("api")
			js.at(c, js.nameRun).Call("qjs_get_prop_string").GlobalSet("run")
			js.eval(c, js.plugin, js.pluginFile, moduleFlag).Set(value)
			c.Get(value).Call("qjs_is_exception").If()
			c.Call("qjs_get_exception").Set(value)
			c.Const(0).GlobalSet("run")
			js.method(c, js.nameFailed, value)
			c.Const(-1).Return()
			c.End()
			js.method(c, js.nameLoad, value)
			c.Call("run_jobs").Const(0)
		},
	})
	js.Define(linker.Func{Name: "run_jobs", Body: func(c *linker.Code) {
		c.Loop().Call("qjs_execute_pending_job").Const(0).GtS().BrIf(0).End()
	}})
}

// method calls a method of the API with one value, whose address is in a local.
func (js *quickJS) method(c *linker.Code, name, value int) {
	js.at(c, js.args).Get(value).Store(linker.I32, 0)
	c.GlobalGet("api")
	js.at(c, name).Call("qjs_get_prop_string")
	c.GlobalGet("api").Const(1)
	js.at(c, js.args).Call("qjs_call").Drop()
}

// addRun defines int run(double hook): it runs a hook, and what the hook left
// to be done later.
func (js *quickJS) addRun() {
	js.Define(linker.Func{
		Name: "run", Signature: linker.Signature{Params: []linker.Type{linker.F64}, Results: []linker.Type{linker.I32}},
		Locals: []linker.Type{linker.I32},
		Body: func(c *linker.Code) {
			const hook, value = 0, 1
			c.Const(-1).GlobalSet(answer)
			c.Get(hook).Call("qjs_new_number").Set(value)
			js.at(c, js.args).Get(value).Store(linker.I32, 0)
			c.GlobalGet("run").GlobalGet("api").Const(1)
			js.at(c, js.args).Call("qjs_call").Call("qjs_free_value")
			c.Get(value).Call("qjs_free_value")
			c.Call("run_jobs").GlobalGet(answer)
		},
	})
}

// addHooks exports the hooks, and on_load, which loads the plugin.
func (js *quickJS) addHooks(built []string) {
	js.Keep("memory", abi.Initialize)
	for i, hook := range abi.Hooks {
		load := hook == abi.HookLoad
		if !load && !slices.Contains(built, hook) {
			continue
		}
		js.Define(linker.Func{
			Name: "hook " + hook, Signature: linker.Signature{Results: []linker.Type{linker.I32}},
			Body: func(c *linker.Code) {
				if load {
					c.Call("load").If().Const(-1).Return().End()
				}
				c.Const(i).ToF64().Call("run")
			},
		})
		js.Export(hook, "hook "+hook)
	}
}
