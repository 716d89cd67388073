// Package meter rewrites a WebAssembly module so that a host can bound what
// the module uses: time (fuel and safepoints), call stack, tables. It knows
// the binary format and nothing of the runtime or of mail.
//
// # What is promised
//
// The rewritten module computes what the original does, with the same traps,
// and in addition:
//
//   - Fuel. Each function entry and each loop header takes fuel from the
//     global named [Fuel] for the instructions that follow it, and calls the
//     import [Yield] when the global is below zero. Between two such points
//     lies straight code of one function, so the time between two looks at
//     the fuel is bounded by the size of a function. Bulk instructions on
//     memories and tables are done in pieces with a look at the fuel between,
//     and cost by their length. What is charged depends on the module and its
//     input alone: not on the machine, nor on how much fuel the host hands
//     out at a time.
//   - Stack. Functions that can be on the call stack more than once take an
//     estimate of their frame, in octets, from the global named [Stack] while
//     they run, and call [Yield] when it is below zero. Other functions add at
//     most one frame each and take nothing.
//   - Tables. The tables a module defines hold at most Options.TableMax
//     elements together.
//   - State. All that an instance can change is in its memory, in the globals
//     that Module.Globals names, or sets the global named [Dirty] to 1.
//   - Start. A start function is exported as [Start] instead of being run at
//     instantiation, so that the host runs it under a budget as well.
//
// The host sets [Fuel] and [Stack] before it calls into an instance. Yield is
// () -> (): it looks at the two globals, and returns after it has raised Fuel
// to zero or more (or leaves it: it is asked again at the next point), or
// panics to end the guest. An instance that trapped or was ended must not be
// called again: its stack has not been given back.
//
// A module that uses the names of this package, or indices beyond its own
// index spaces, is refused. What else is invalid in a module stays invalid
// and is left for the runtime to refuse.
package meter

// What a rewritten module imports and exports beside its own. No plugin may
// use ImportModule, nor export a name that begins with Prefix.
const (
	ImportModule = "mta.meter"
	Yield        = "yield" // () -> (), imported from ImportModule

	Prefix = "mta.meter."
	Fuel   = Prefix + "fuel"  // i64 global, mutable: units left; below zero: yield
	Stack  = Prefix + "stack" // i64 global, mutable: octets of call stack left; below zero: yield
	Dirty  = Prefix + "dirty" // i32 global, mutable: 1 after a change that memory and Module.Globals do not hold
	Start  = Prefix + "start" // function () -> (): what was the start function; see Module.Start
)

// Options say what Rewrite is to bound. The zero value is fine.
type Options struct {
	// TableMax is how many elements the module's own tables may have
	// together; 0 means DefaultTableMax. A module whose tables begin with
	// more is refused. A table.grow beyond it answers -1, as the
	// specification allows.
	TableMax uint32

	// Dirty reports whether a call of this imported function leaves state
	// outside of the instance, so that the instance cannot be reset after it.
	// Nil means that none does.
	Dirty func(module, name string) bool
}

// DefaultTableMax is enough for the function tables of CPython and Ruby
// (under 20,000 elements), and 8 MiB of references in the runtime.
const DefaultTableMax = 1 << 20

// Module is a rewritten module, and what its host must know.
type Module struct {
	Wasm []byte

	// Start is whether the export Start is there, to be called once, right
	// after instantiation and before anything else.
	Start bool

	// Globals names the exports of the mutable globals that a host has to
	// save and restore beside the memory. Rewrite adds these exports, named
	// with Prefix. The global Fuel, Stack and Dirty are not among them.
	Globals []string

	// Shared is whether the module imports a memory, a table or a mutable
	// global: then a part of its state is not its own, and it cannot be
	// reset.
	Shared bool
}
