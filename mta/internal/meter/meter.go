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
//     global named [Fuel], and calls the import [Yield] when that is below
//     zero. Between two such looks at the fuel lies straight code of one
//     function, in which a bulk instruction handles at most 4 KiB, so the time
//     between two looks is bounded by the size of a function. Longer bulk
//     instructions are done in pieces with a look between.
//   - Prices. An instruction costs one unit; bulk instructions cost by their
//     length, growth by what was added, calls of imports 100. What is charged
//     is at least what is run, and may be more by what the dearest path to the
//     next charge costs, less than 96 units and a piece of straight code. It
//     depends on the module and its input alone: not on the machine, nor on
//     how much fuel the host hands out at a time.
//   - Stack. Functions on a cycle of calls take an estimate of their frame, in
//     octets, from the global named [Stack] while they run, and call [Yield]
//     when it is below zero. Other functions are at most once on the stack and
//     take nothing. Calls that the host makes from within an import count as
//     new ones: a host that allows them must bound them.
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
// # What is refused
//
// WebAssembly core 2.0 is understood, and no proposal. A module that uses the
// names of this package, or indices beyond its own index spaces, is refused,
// as are more than 50,000 locals in a function, and lengths beyond the end of
// the module, for which a runtime may allocate. What else is invalid in a
// module stays invalid and is left for the runtime to refuse. Sections that
// hold offsets in the code (.debug_ and others) are left out. Any octets may
// be given to Rewrite: it does not panic, and takes time and memory in
// proportion to their number.
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
