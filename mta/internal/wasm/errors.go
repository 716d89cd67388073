package wasm

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"unicode"

	"github.com/tetratelabs/wazero/sys"

	"github.com/wasmta/wasmta/sdk/abi"
	"github.com/wasmta/wasmta/sdk/host"
)

// Kind is what went wrong with a plugin.
type Kind string

const (
	KindLoad    Kind = "load"    // it cannot be loaded, or refuses to start
	KindTrap    Kind = "trap"    // it did what WebAssembly does not allow, or gave up
	KindTimeout Kind = "timeout" // it took too long, or its caller went away
	KindFuel    Kind = "fuel"    // it used up its fuel
	KindCalls   Kind = "calls"   // it called the host too often
	KindDepth   Kind = "depth"   // its calls were nested too deeply
	KindMemory  Kind = "memory"  // it wanted more memory than its limit
	KindExit    Kind = "exit"    // it called exit
	KindVerdict Kind = "verdict" // what it returned is no verdict, or does not fit its reply
	KindBusy    Kind = "busy"    // no instance came free in time
	KindInput   Kind = "input"   // our own fault: what it was to work on cannot be had
)

// An Error is why a plugin did not answer. The transaction is as it was.
type Error struct {
	Plugin string
	Hook   string
	Kind   Kind
	Detail string // one line
	Err    error  // may be nil
}

// Error implements error. It is one line.
func (e *Error) Error() string {
	s := "plugin " + e.Plugin
	if e.Hook != "" {
		s += ": " + e.Hook
	}
	return s + ": " + e.Detail
}

// PluginFault tells whether the plugin is to blame, and not those who share its
// pool, the caller, or the server.
func (e *Error) PluginFault() bool {
	return e.Kind != KindBusy && e.Kind != KindInput
}

// Unwrap gives the cause, if there is one worth asking for.
func (e *Error) Unwrap() error { return e.Err }

// errPointer is what a host function panics with when a guest's pointer is out
// of its memory; the runtime makes a trap of it.
var errPointer = errors.New("pointer out of range given to the host")

// maxDetail bounds what a guest can put into an error's text.
const maxDetail = 300 // octets: a log line, not a dump

// failure makes an error of what a guest's call came back with.
func (p *Plugin) failure(ctx context.Context, hook string, inst *instance, err error) *Error {
	e := &Error{Plugin: p.name, Hook: hook, Kind: KindTrap, Err: err}
	exit, exited := errors.AsType[*sys.ExitError](err)
	over := asOverrun(err)
	switch {
	case over != nil && over.kind == KindTimeout:
		e.Kind, e.Err, e.Detail = KindTimeout, context.DeadlineExceeded, over.detail
		if errors.Is(ctx.Err(), context.Canceled) {
			e.Err, e.Detail = ctx.Err(), "cancelled"
		}
	case over != nil:
		e.Kind, e.Detail = over.kind, over.detail
	case inst != nil && inst.memory.refused():
		e.Kind = KindMemory
		e.Detail = fmt.Sprintf("ran out of memory, the limit is %s", octets(p.budget.Memory))
	case exited:
		e.Kind = KindExit
		e.Detail = fmt.Sprintf("exited with code %d", exit.ExitCode())
	default:
		e.Detail = shorten(err)
	}
	if inst != nil && (e.Kind == KindTrap || e.Kind == KindExit) {
		if said := inst.output.first(); said != "" {
			e.Detail += ": " + cut(said)
		}
	}
	return e
}

// shorten makes one line of a runtime's error: what happened, and in which
// function.
func shorten(err error) string {
	text := err.Error()
	what, stack, traced := strings.Cut(text, "\nwasm stack trace:\n")
	what, _, _ = strings.Cut(what, "\n")
	what = strings.TrimPrefix(what, "wasm error: ")
	what = strings.TrimSuffix(what, " (recovered by wazero)")
	if traced {
		where, _, _ := strings.Cut(strings.TrimSpace(stack), "\n")
		where, _, _ = strings.Cut(where, "(")
		if where = strings.TrimPrefix(where, "."); where != "" && where[0] != '$' { // $4: no name
			what += " in " + where
		}
	}
	return cut(what)
}

// cut makes s printable and not too long.
func cut(s string) string {
	s = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, s)
	if len(s) > maxDetail {
		s = strings.ToValidUTF8(s[:maxDetail], "") + "…"
	}
	return s
}

// octets writes a size as the pipeline file does.
func octets(n int64) string {
	switch {
	case n >= 1<<20 && n%(1<<20) == 0:
		return fmt.Sprintf("%dMiB", n>>20)
	case n >= 1<<10 && n%(1<<10) == 0:
		return fmt.Sprintf("%dKiB", n>>10)
	}
	return fmt.Sprintf("%dB", n)
}

// refusal is what a result other than zero of on_load means, in the plugin's
// own words if it had any.
func (p *Plugin) refusal(result int32, reply *host.Reply, logged, written string) *Error {
	detail := fmt.Sprintf("refused to start (%d)", result)
	switch {
	case reply != nil:
		detail = "refused to start: " + cut(reply.Text)
	case logged != "":
		detail = "refused to start: " + cut(logged)
	case written != "":
		detail = "refused to start: " + cut(written)
	}
	return &Error{Plugin: p.name, Hook: abi.HookLoad, Kind: KindLoad, Detail: detail}
}
