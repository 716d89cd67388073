package wasm

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tetratelabs/wazero"

	"github.com/wasmta/wasmta/mta/internal/mail"
	"github.com/wasmta/wasmta/sdk/abi"
)

const letter = "Received: from crepes.fr\r\n\tby hamburger.edu\r\nFrom: alice@crepes.fr\r\nSubject: hi\r\n\r\nDear Bob\r\n"

func transaction() *mail.Transaction {
	return &mail.Transaction{
		ID:     "0123456789ABCDEF",
		Client: mail.Client{Addr: netip.MustParseAddrPort("192.0.2.1:1234"), Helo: "crepes.fr", Listener: mail.ListenerSMTP},
		Envelope: mail.Envelope{
			ReversePath: mail.Path{Local: "alice", Domain: "crepes.fr"},
			Recipients:  []mail.Recipient{{Path: mail.Path{Local: "bob", Domain: "hamburger.edu"}}},
		},
		Content: mail.Bytes(letter),
	}
}

func newRuntime(t testing.TB, opts Options) *Runtime {
	t.Helper()
	rt, err := NewRuntime(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := rt.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return rt
}

func load(t testing.TB, rt *Runtime, code []byte) *Plugin {
	t.Helper()
	return loadWith(t, rt, LoadOptions{Wasm: code, Budget: Budget{Memory: 4 << 20}})
}

// everything are all grants.
var everything = abi.Grant(abi.AllGrants).Words()

// loadWith loads a plugin with all grants, if opts has none.
func loadWith(t testing.TB, rt *Runtime, opts LoadOptions) *Plugin {
	t.Helper()
	if opts.Name == "" {
		opts.Name = "test"
	}
	if opts.Grants == nil {
		opts.Grants = everything
	}
	p, err := rt.Load(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// TestFunctionsOfTheTable holds that the host has every function of the table,
// with its type, and no other.
func TestFunctionsOfTheTable(t *testing.T) {
	rt := wazero.NewRuntime(t.Context())
	defer rt.Close(t.Context())
	if err := addImports(t.Context(), rt); err != nil {
		t.Fatal(err)
	}
	offered := rt.Module(abi.Module).ExportedFunctionDefinitions()
	for _, f := range abi.Functions {
		def, ok := offered[f.Name]
		if !ok {
			t.Errorf("%s is not offered", f.Name)
			continue
		}
		params, results := coreTypes(f)
		if got, want := signature(def.ParamTypes(), def.ResultTypes()), signature(params, results); got != want {
			t.Errorf("%s is %s, want %s", f.Name, got, want)
		}
	}
	if len(offered) != len(abi.Functions) || len(imports) != len(abi.Functions) {
		t.Errorf("%d functions are offered and %d written, the table has %d", len(offered), len(imports), len(abi.Functions))
	}
}

// TestHandle runs a guest that calls every function once, in range.
func TestHandle(t *testing.T) {
	var m module
	var calls [][]byte
	for _, f := range abi.Functions {
		index := m.use(f.Name)
		calls = append(calls, callWith(f, index, 0, 8, 0)...)
	}
	m.min, m.data = 1, "X-A:\tbcd"
	m.fn(abi.HookMessage, append(calls, i32(0))...)
	p := load(t, newRuntime(t, Options{}), m.bytes())
	if _, err := p.Handle(t.Context(), abi.HookMessage, transaction()); err != nil {
		t.Fatal(err)
	}
	if got := p.Hooks(); len(got) != 1 || got[0] != abi.HookMessage {
		t.Errorf("hooks: %q", got)
	}
	if _, err := p.Handle(t.Context(), abi.HookRcpt, nil); err != nil {
		t.Errorf("a hook that the plugin does not have: %v", err)
	}
}

// callWith calls a function with a pointer and a length in each of its
// pointer pairs, n in the others, and drops the result.
func callWith(f abi.Function, index uint32, pointer, length int32, n int64) [][]byte {
	var code [][]byte
	for _, p := range f.Params {
		switch p.Kind {
		case abi.In, abi.Out:
			code = append(code, i32(pointer), i32(length))
		case abi.OutI64:
			code = append(code, i32(pointer))
		default:
			code = append(code, constant(p.Kind, n))
		}
	}
	code = append(code, call(index))
	if f.Result != abi.None {
		code = append(code, drop)
	}
	return code
}

// TestPointersOutOfRange gives each function pointers that lead nowhere: each
// is a trap, and the host is not hurt.
func TestPointersOutOfRange(t *testing.T) {
	rt := newRuntime(t, Options{})
	for _, f := range abi.Functions {
		pointers := 0
		for _, p := range f.Params {
			if p.Kind == abi.In || p.Kind == abi.Out || p.Kind == abi.OutI64 {
				pointers++
			}
		}
		if pointers == 0 {
			continue
		}
		for name, at := range map[string][2]int32{
			"beyond the end":           {65536, 8},
			"over the end":             {65530, 8},
			"negative length":          {0, -1},
			"negative pointer":         {-8, 8},
			"both wrap around":         {-1, -1},
			"longer than all there is": {0, 65537},
		} {
			if f.Params[len(f.Params)-1].Kind == abi.OutI64 && at[0] == 0 {
				continue // its pointer has no length
			}
			var m module
			m.min = 1
			index := m.use(f.Name)
			m.fn(abi.HookMessage, append(callWith(f, index, at[0], at[1], 0), i32(0))...)
			p := load(t, rt, m.bytes())
			_, err := p.Handle(t.Context(), abi.HookMessage, transaction())
			e, ok := errors.AsType[*Error](err)
			if !ok || e.Kind != KindTrap || !strings.Contains(e.Detail, "pointer out of range") {
				t.Errorf("%s, %s: got %v, want a trap", f.Name, name, err)
			}
			if err := p.Close(t.Context()); err != nil {
				t.Error(err)
			}
		}
	}
}

// TestNoMemory holds that a module without a memory cannot give pointers.
func TestNoMemory(t *testing.T) {
	var m module
	f := m.use("sender_set")
	m.fn(abi.HookMessage, i32(0), i32(4), call(f))
	p := load(t, newRuntime(t, Options{}), m.bytes())
	if _, err := p.Handle(t.Context(), abi.HookMessage, transaction()); err == nil {
		t.Error("got no error")
	}
}

// hostile are guests that end in an error, each in its way.
func hostile() map[string]struct {
	code   []byte
	kind   Kind
	detail string
} {
	build := func(min uint32, code ...[]byte) []byte {
		m := module{min: min}
		sender := m.use("sender_set")
		reply := m.use("reply")
		exit := m.useAs("wasi_snapshot_preview1", "proc_exit", []abi.Kind{abi.I32}, nil)
		sleep := m.useAs("wasi_snapshot_preview1", "poll_oneoff", []abi.Kind{abi.I32, abi.I32, abi.I32, abi.I32}, []abi.Kind{abi.I32})
		_, _, _ = reply, exit, sleep
		m.data = "mallory@example.com"
		m.fn(abi.HookMessage, join(i32(0), i32(19), call(sender), drop), join(code...))
		return m.bytes()
	}
	const reply, exit, sleep = 1, 2, 3
	recursive := module{}
	recursive.fn(abi.HookMessage, call(0))
	return map[string]struct {
		code   []byte
		kind   Kind
		detail string
	}{
		"endless loop":       {build(1, forever, i32(0)), KindTimeout, "timed out"},
		"unreachable":        {build(1, unreachable), KindTrap, "unreachable"},
		"division by zero":   {build(1, i32(1), i32(0), []byte{0x6d}), KindTrap, "integer divide by zero"},
		"load out of bounds": {build(1, i32(-4), []byte{0x28, 2, 0}), KindTrap, "out of bounds memory access"},
		"recursion":          {recursive.bytes(), KindDepth, "4MiB of stack deep"},
		"too much memory":    {build(1, i32(64), growMemory, drop, unreachable), KindMemory, "ran out of memory, the limit is 4MiB"},
		"more than there is": {build(1, i32(-1), growMemory, drop, unreachable), KindTrap, "unreachable"},
		"exit":               {build(1, i32(7), call(exit), i32(0)), KindExit, "exited with code 7"},
		"exit with success":  {build(1, i32(0), call(exit), i32(0)), KindExit, "exited with code 0"},
		"verdict 8":          {build(1, i32(8)), KindVerdict, "returned 8, which is none"},
		"verdict -1":         {build(1, i32(-1)), KindVerdict, "returned -1, which is none"},
		"reply without refusal": {build(1, i32(550), i32(0), i32(0), i32(0), i32(0), call(reply), drop, i32(0)),
			KindVerdict, "returned continue after a reply of 550"},
		"permanent reply, temporary verdict": {build(1, i32(550), i32(0), i32(0), i32(0), i32(0), call(reply), drop, i32(3)),
			KindVerdict, "returned defer after a reply of 550"},
		// A subscription to the monotonic clock, a thousand seconds from now.
		"long sleep": {build(1, store(8, 0), store(16, 1), store(24, 0), store(28, 232), store(40, 0),
			i32(0), i32(64), i32(1), i32(128), call(sleep), drop, forever, i32(0)), KindTimeout, "timed out"},
	}
}

func TestHostileGuests(t *testing.T) {
	rt := newRuntime(t, Options{})
	for name, tt := range hostile() {
		t.Run(name, func(t *testing.T) {
			p := load(t, rt, tt.code)
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
			defer cancel()
			if tt.kind == KindTimeout {
				ctx, cancel = context.WithTimeout(t.Context(), 50*time.Millisecond)
				defer cancel()
			}
			tx := transaction()
			_, err := p.Handle(ctx, abi.HookMessage, tx)
			e, ok := err.(*Error)
			if !ok || e.Kind != tt.kind || !strings.Contains(e.Detail, tt.detail) {
				t.Fatalf("got %#v, want %s: %s", err, tt.kind, tt.detail)
			}
			if s := e.Error(); strings.Contains(s, "\n") || len(s) > 2*maxDetail {
				t.Errorf("message is no line: %s", s)
			}
			if got := tx.Envelope.ReversePath.String(); got != "alice@crepes.fr" {
				t.Errorf("the sender is now %s", got)
			}
			if b, _ := mail.ReadAll(tx.Content); string(b) != letter {
				t.Errorf("the content is now %q", b)
			}
			p.mu.Lock()
			defer p.mu.Unlock()
			if len(p.idle) != 0 || len(p.slots) != 0 || p.lent != 0 {
				t.Errorf("after the error: %d idle, %d slots taken, %d lent", len(p.idle), len(p.slots), p.lent)
			}
		})
	}
}

// TestManyFailures holds that a thousand failing calls leave nothing behind.
func TestManyFailures(t *testing.T) {
	rt := newRuntime(t, Options{})
	guests := hostile()
	var plugins []*Plugin
	for _, name := range []string{"unreachable", "exit", "too much memory", "verdict 8", "load out of bounds"} {
		plugins = append(plugins, load(t, rt, guests[name].code))
	}
	round := func(n int) {
		for range n {
			for _, p := range plugins {
				if _, err := p.Handle(t.Context(), abi.HookMessage, transaction()); err == nil {
					t.Fatal("got no error")
				}
			}
		}
	}
	measure := func() (goroutines int, heap uint64, maps int) {
		runtime.GC()
		var s runtime.MemStats
		runtime.ReadMemStats(&s)
		b, _ := os.ReadFile("/proc/self/maps") // on Linux only
		return runtime.NumGoroutine(), s.HeapAlloc, bytes.Count(b, []byte("\n"))
	}
	round(20)
	goroutines, heap, maps := measure()
	round(200)
	g, h, m := measure()
	if g > goroutines+2 {
		t.Errorf("%d goroutines, %d before", g, goroutines)
	}
	if h > heap+4<<20 {
		t.Errorf("%d octets in the heap, %d before", h, heap)
	}
	if m > maps+20 {
		t.Errorf("%d mapped areas, %d before", m, maps)
	}
}

// TestOneGuestDoesNotHurtTheOthers runs guests that fail beside one that
// works.
func TestOneGuestDoesNotHurtTheOthers(t *testing.T) {
	rt := newRuntime(t, Options{})
	good := module{min: 1, data: "carol@example.com"}
	set := good.use("sender_set")
	good.fn(abi.HookMessage, i32(0), i32(17), call(set), drop, i32(1))
	p := load(t, rt, good.bytes())
	bad := hostile()
	loops, traps := load(t, rt, bad["endless loop"].code), load(t, rt, bad["unreachable"].code)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
			defer cancel()
			if _, err := loops.Handle(ctx, abi.HookMessage, transaction()); err == nil {
				t.Error("an endless loop ended")
			}
		})
		wg.Go(func() {
			for range 50 {
				if _, err := traps.Handle(t.Context(), abi.HookMessage, transaction()); err == nil {
					t.Error("a trap was none")
				}
			}
		})
		wg.Go(func() {
			for range 50 {
				tx := transaction()
				a, err := p.Handle(t.Context(), abi.HookMessage, tx)
				if err != nil || a.Verdict != mail.Accept || tx.Envelope.ReversePath.Local != "carol" {
					t.Errorf("got %v, %v, sender %s", a, err, tx.Envelope.ReversePath)
				}
			}
		})
	}
	wg.Wait()
}

// TestWaitingIsNotTheMessagesTime has one instance, which others keep busy for
// longer than the time of a hook: the message that waits for it is answered
// all the same.
func TestWaitingIsNotTheMessagesTime(t *testing.T) {
	m := module{min: 1}
	m.fn(abi.HookMessage, forever, i32(0))
	m.fn(abi.HookHelo, i32(0))
	rt := newRuntime(t, Options{})
	const timeout = 50 * time.Millisecond
	p, err := rt.Load(t.Context(), LoadOptions{Name: "test", Wasm: m.bytes(), Instances: 1, Budget: Budget{Timeout: timeout}})
	if err != nil {
		t.Fatal(err)
	}
	var loops sync.WaitGroup
	defer loops.Wait()
	for range 4 {
		loops.Go(func() {
			_, err := p.Handle(t.Context(), abi.HookMessage, transaction())
			if e, ok := errors.AsType[*Error](err); !ok || e.Kind != KindTimeout {
				t.Errorf("the endless loop: got %v, want a time-out", err)
			}
		})
	}
	for len(p.slots) == 0 {
		runtime.Gosched()
	}
	for range 20 {
		if _, err := p.Handle(t.Context(), abi.HookHelo, transaction()); err != nil {
			t.Errorf("one that waits: %v", err)
		}
	}
}

func TestPoolIsBounded(t *testing.T) {
	rt := newRuntime(t, Options{})
	p, err := rt.Load(t.Context(), LoadOptions{Name: "test", Wasm: hostile()["endless loop"].code, Instances: 1})
	if err != nil {
		t.Fatal(err)
	}
	long, stop := context.WithCancel(t.Context())
	done := make(chan error)
	go func() {
		_, err := p.Handle(long, abi.HookMessage, transaction())
		done <- err
	}()
	for len(p.slots) == 0 {
		runtime.Gosched()
	}
	short, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	_, err = p.Handle(short, abi.HookMessage, transaction())
	if e, ok := errors.AsType[*Error](err); !ok || e.Kind != KindBusy || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v, want busy", err)
	}
	if err := p.Close(short); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("closing while a call is under way: %v", err)
	}
	if _, err := p.Handle(t.Context(), abi.HookMessage, transaction()); err == nil {
		t.Error("a closed plugin answers")
	}
	stop()
	if e, ok := errors.AsType[*Error](<-done); !ok || e.Kind != KindTimeout || e.Detail != "cancelled" {
		t.Errorf("got %v", e)
	}
	if err := p.Close(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestLoadRefuses(t *testing.T) {
	build := func(f func(m *module)) []byte {
		m := module{min: 1}
		f(&m)
		return m.bytes()
	}
	hook := func(m *module) { m.fn(abi.HookMessage, i32(0)) }
	i32s := []abi.Kind{abi.I32}
	for _, tt := range []struct {
		name string
		code []byte
		want string
	}{
		{"no module", []byte("#!/bin/sh\n"), "no WebAssembly module"},
		{"component", []byte("\x00asm\x0d\x00\x01\x00"), "component"},
		{"damaged", append([]byte("\x00asm\x01\x00\x00\x00"), 1, 200, 1), "section"},
		{"function of a later version", build(func(m *module) { m.useAs("mta1", "teleport", nil, i32s); hook(m) }),
			"imports function teleport, which plugin ABI 1.0 does not have"},
		{"function of another type", build(func(m *module) { m.useAs("mta1", "has", i32s, i32s); hook(m) }),
			"imports function has as (i32) -> (i32); it is (i32, i32) -> (i32)"},
		{"later major version", build(func(m *module) { m.useAs("mta2", "has", i32s, i32s); hook(m) }),
			"is built for plugin ABI mta2; this server has mta1, version 1.0"},
		{"function without its grant", build(func(m *module) { m.use("kv_get"); hook(m) }), "imports kv_get, which needs the grant kv; add kv to grant:"},
		{"unknown module", build(func(m *module) { m.useAs("env", "abort", nil, nil); hook(m) }), `imports function abort of module "env"`},
		{"unknown function of WASI", build(func(m *module) { m.useAs("wasi_snapshot_preview1", "fork", nil, i32s); hook(m) }), "imports function fork of wasi"},
		{"no hook", build(func(m *module) { m.fn("", i32(0)) }), "exports no hook"},
		{"mistyped hook", build(func(m *module) { m.fn("on_mesage", i32(0)) }), "exports on_mesage, which is no hook"},
		{"hook of another type", build(func(m *module) { m.fnAs(abi.HookMessage, nil) }), "exports on_message as () -> (); a hook is () -> (i32)"},
		{"grants of a command", build(func(m *module) { m.fnAs("_start", nil) }), "message on stdin, which needs the grants headers and body; add headers, body to grant:"},
		{"refusal", build(func(m *module) { m.fn(abi.HookLoad, i32(3)); hook(m) }), "refused to start (3)"},
		{"refusal with a reason", build(func(m *module) {
			m.data = "no footer given"
			log := m.use("log")
			m.fn(abi.HookLoad, i32(int32(abi.LevelError)), i32(0), i32(15), call(log), i32(1))
			hook(m)
		}), "refused to start: no footer given"},
		{"trap in on_load", build(func(m *module) { m.fn(abi.HookLoad, unreachable); hook(m) }), "on_load: unreachable"},
		{"trap in _initialize", build(func(m *module) { m.fnAs(abi.Initialize, nil, unreachable); hook(m) }), "_initialize: unreachable"},
		{"endless _initialize", build(func(m *module) { m.fnAs(abi.Initialize, nil, forever); hook(m) }), "_initialize: timed out"},
		{"more memory than the limit", build(func(m *module) { m.min = 65; hook(m) }), "ran out of memory, the limit is 4MiB"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := newRuntime(t, Options{}).Load(t.Context(), LoadOptions{
				Name: "test", Wasm: tt.code, Grants: []string{"envelope"}, Budget: Budget{Memory: 4 << 20}, Load: Budget{Timeout: 50 * time.Millisecond},
			})
			e, ok := err.(*Error)
			if !ok || e.Kind != KindLoad {
				t.Fatalf("got %v", err)
			}
			if !strings.Contains(e.Error(), tt.want) || strings.Contains(e.Error(), "\n") {
				t.Errorf("got %q, want %q", e.Error(), tt.want)
			}
		})
	}
}

// TestTextWithLineBreaks holds that CR, LF and NUL get into no header field,
// path or reply.
func TestTextWithLineBreaks(t *testing.T) {
	const bad = "a@b.c\r\nX: y"
	rt := newRuntime(t, Options{})
	for _, name := range []string{"sender_set", "rcpt_add", "rcpt_set", "reply", "hdr_insert", "hdr_set",
		"route", "deliver", "quarantine", "part_wrap"} {
		f, _ := abi.Lookup(name)
		m := module{min: 1, data: bad}
		index := m.use(name)
		code := callWith(f, index, 0, int32(len(bad)), 1)
		code[len(code)-1] = []byte{0x41, 0x7e, 0x46} // instead of drop: is it -2?
		// 0 for equal to abi.BadArg, as verdict; anything else is 99.
		m.fn(abi.HookMessage, append(code, []byte{0x45}, i32(99), []byte{0x6c})...)
		p := load(t, rt, m.bytes())
		if _, err := p.Handle(t.Context(), abi.HookMessage, transaction()); err != nil {
			t.Errorf("%s takes a line break: %v", name, err)
		}
	}
}

func TestOutputIsCapped(t *testing.T) {
	var log bytes.Buffer
	o := &output{log: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})), gauge: &gauge{budget: defaultBudget}}
	line := strings.Repeat("x", 1000) + "\n"
	for range 1000 {
		if n, err := o.Write([]byte(line)); n != len(line) || err != nil {
			t.Fatal(n, err)
		}
	}
	if log.Len() > 2*DefaultLogOctets {
		t.Errorf("%d octets are in the log", log.Len())
	}
	if got := len(o.first()); got != maxOutputLine {
		t.Errorf("the first line has %d octets", got)
	}
	if got := o.gauge.logged; got != 1000*len(line) {
		t.Errorf("%d octets are counted", got)
	}
}

func TestCompilationCache(t *testing.T) {
	dir := t.TempDir()
	m := module{min: 1}
	m.fn(abi.HookMessage, i32(0))
	for range 2 {
		rt := newRuntime(t, Options{CacheDir: dir})
		p := load(t, rt, m.bytes())
		if _, err := p.Handle(t.Context(), abi.HookMessage, transaction()); err != nil {
			t.Fatal(err)
		}
	}
}
