package wasm

import (
	"errors"
	"testing"
	"time"

	"github.com/wasmta/wasmta/mta/internal/mail"
	"github.com/wasmta/wasmta/sdk/abi"
)

// TestUsageIsTheSame asks guests in runtimes of their own, beside others and one
// after the other: a message costs the same each time.
func TestUsageIsTheSame(t *testing.T) {
	stop := beside(t, newRuntime(t, Options{}))
	defer stop()
	for name, load := range map[string]func(*Runtime) *Plugin{
		"honest": func(rt *Runtime) *Plugin { return load(t, rt, villain(t, "honest")) },
		"parts": func(rt *Runtime) *Plugin {
			return loadWith(t, rt, LoadOptions{Wasm: villain(t, "parts"), Budget: Budget{Fuel: 3e6, HostCalls: 2000}})
		},
		"go": func(rt *Runtime) *Plugin { return loadGo(t, rt) },
		"go command": func(*Runtime) *Plugin {
			p, err := loadProgram(t, told{Do: "environment"}, LoadOptions{Output: OutputHeaders})
			if err != nil {
				t.Fatal(err)
			}
			return p
		},
	} {
		var first mail.Usage
		for i := range 3 {
			p := load(newRuntime(t, Options{CacheDir: cacheDir}))
			for j := range 3 {
				a, _ := p.Handle(t.Context(), abi.HookMessage, transaction())
				used := a.Used
				used.Time = 0
				if i+j == 0 {
					first = used
				} else if used != first {
					t.Errorf("%s, runtime %d, message %d: used %+v, and %+v at first", name, i, j, used, first)
				}
			}
		}
		if first.Fuel == 0 || first.HostCalls == 0 || first.Memory == 0 {
			t.Errorf("%s used %+v", name, first)
		}
		t.Logf("%s used %+v", name, first)
	}
}

// TestBudgets holds that each budget ends a call just behind what the call needs.
func TestBudgets(t *testing.T) {
	code := wat(t, `(module (import "mta1" "log_enabled" (func $log (param i32) (result i32))) (memory 1)
		(func (export "on_message") (result i32) (local $i i32)
			(loop $l (drop (call $log (i32.const 0)))
				(br_if $l (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 10000))))
			(i32.const 0)))`)
	rt := newRuntime(t, Options{})
	a, err := load(t, rt, code).Handle(t.Context(), abi.HookMessage, transaction())
	if err != nil || a.Used.HostCalls != 10_000 {
		t.Fatalf("%v, used %+v", err, a.Used)
	}
	for _, tt := range []struct {
		name   string
		budget Budget
		want   Kind
	}{
		{"fuel", Budget{Fuel: a.Used.Fuel}, ""},
		{"less fuel", Budget{Fuel: a.Used.Fuel - 1}, KindFuel},
		{"calls", Budget{HostCalls: a.Used.HostCalls}, ""},
		{"one call less", Budget{HostCalls: a.Used.HostCalls - 1}, KindCalls},
	} {
		p := loadWith(t, rt, LoadOptions{Wasm: code, Budget: tt.budget})
		for range 2 {
			a, err := p.Handle(t.Context(), abi.HookMessage, transaction())
			kind := Kind("")
			if e, ok := errors.AsType[*Error](err); ok {
				kind = e.Kind
			}
			if kind != tt.want {
				t.Errorf("%s: got %v, want %q", tt.name, err, tt.want)
			}
			if b := tt.budget; b.Fuel > 0 && a.Used.Fuel > b.Fuel || b.HostCalls > 0 && a.Used.HostCalls > b.HostCalls {
				t.Errorf("%s: used %+v", tt.name, a.Used)
			}
		}
	}
}

// TestClockAndRandom holds what WASI shows without the grants, and with them.
func TestClockAndRandom(t *testing.T) {
	const loop = `(loop $l (br_if $l (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 100000))))`
	clock := func(id string) []byte {
		return wat(t, `(module (import "wasi_snapshot_preview1" "clock_time_get" (func $time (param i32 i64 i32) (result i32))) (memory 1)
			(func (export "on_message") (result i32) (local $i i32)
				(drop (call $time (i32.const `+id+`) (i64.const 1) (i32.const 0)))`+loop+`
				(drop (call $time (i32.const `+id+`) (i64.const 1) (i32.const 8)))
				(i64.ne (i64.load (i32.const 0)) (i64.load (i32.const 8)))))`)
	}
	// It answers accept if it draws what it drew for the message before.
	random := wat(t, `(module (import "wasi_snapshot_preview1" "random_get" (func $random (param i32 i32) (result i32))) (memory 1)
		(func (export "on_message") (result i32)
			(i64.store (i32.const 8) (i64.load (i32.const 0)))
			(drop (call $random (i32.const 0) (i32.const 8)))
			(i64.eq (i64.load (i32.const 0)) (i64.load (i32.const 8)))))`)
	for _, tt := range []struct {
		name   string
		code   []byte
		grants []string
		want   mail.Verdict
	}{
		{"wall clock", clock("0"), []string{}, mail.Continue},
		{"wall clock, granted", clock("0"), []string{"clock"}, mail.Accept},
		{"monotonic clock", clock("1"), []string{}, mail.Accept},
		{"random", random, []string{}, mail.Accept},
		{"random, granted", random, []string{"random"}, mail.Continue},
	} {
		p := loadWith(t, newRuntime(t, Options{}), LoadOptions{Wasm: tt.code, Grants: tt.grants, Isolation: IsolateNone, Instances: 1})
		var a mail.Answer
		for range 2 { // the second one counts: there is none before the first
			var err error
			if a, err = p.Handle(t.Context(), abi.HookMessage, transaction()); err != nil {
				t.Fatal(err)
			}
		}
		if a.Verdict != tt.want {
			t.Errorf("%s: %v, want %v", tt.name, a.Verdict, tt.want)
		}
	}
}

// TestMonotonicClock holds that it counts fuel and sleep, and begins each
// message at the same time.
func TestMonotonicClock(t *testing.T) {
	g := &gauge{}
	c := clock{gauge: g, base: firstInstant}
	if got := c.monotonic(); got != firstInstant {
		t.Errorf("began at %d", got)
	}
	c.sleep(int64(time.Millisecond))
	if got := c.monotonic(); got != firstInstant+int64(time.Millisecond) {
		t.Errorf("after a sleep: %d", got)
	}
}
