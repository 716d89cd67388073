package wasm

import "time"

// A Budget is what one hook call may use. A call that uses more ends with an
// [*Error] that says so, and nothing of what it did is kept. Zero fields have
// their defaults, but for Timeout.
type Budget struct {
	Fuel      uint64        // units, as in [mail.Usage]
	HostCalls int           // functions of the host that the guest calls
	LogOctets int           // that the guest logs or writes to its output; more is dropped
	Memory    int64         // octets of an instance's linear memory; that of Load is not used
	Timeout   time.Duration // once the guest is ready; zero: what the caller's context says
}

// The defaults of a hook call's [Budget].
const (
	DefaultFuel      = 1_000_000_000 // a second of work, a hundred times what a filter needs of a large message
	DefaultHostCalls = 1_000_000     // each field of a thousand parts, several times over
	DefaultLogOctets = 64 << 10      // a page of log; a loop that logs must not fill the disk
	DefaultMemory    = 64 << 20      // a Go guest needs 7 MiB, and room for a large message
)

// defaultBudget has them all.
var defaultBudget = Budget{
	Fuel:      DefaultFuel,
	HostCalls: DefaultHostCalls,
	LogOctets: DefaultLogOctets,
	Memory:    DefaultMemory,
}

// DefaultLoad is the budget of _initialize and on_load: an interpreter reads
// its library then.
var DefaultLoad = Budget{
	Fuel:      20 * DefaultFuel,
	HostCalls: DefaultHostCalls,
	LogOctets: DefaultLogOctets,
	Timeout:   30 * time.Second,
}

// or gives the zero fields of b the values of d.
func (b Budget) or(d Budget) Budget {
	if b.Fuel == 0 {
		b.Fuel = d.Fuel
	}
	if b.HostCalls <= 0 {
		b.HostCalls = d.HostCalls
	}
	if b.LogOctets <= 0 {
		b.LogOctets = d.LogOctets
	}
	if b.Memory <= 0 {
		b.Memory = d.Memory
	}
	if b.Timeout <= 0 {
		b.Timeout = d.Timeout
	}
	return b
}

// Isolation is what one message's call may leave to the next one's.
type Isolation string

const (
	// IsolateMessage is nothing: each call begins with what on_load left.
	IsolateMessage Isolation = "message"
	// IsolateNone is all that is in an instance's memory.
	IsolateNone Isolation = "none"
)

// Mode is how a module is asked.
type Mode string

const (
	ModeAuto    Mode = "auto"    // what its bundle says; without one, native if it exports a hook, command if it exports _start
	ModeNative  Mode = "native"  // its exported hooks are called
	ModeCommand Mode = "command" // its _start is run for each message: see sdk/WASI.md
	ModeLoop    Mode = "loop"    // its _start reads one message after the other: see sdk/WASI.md
)

// A Folder is one that a guest may read.
type Folder struct {
	Name string // as the guest sees it: "/" and this name
	Path string
}
