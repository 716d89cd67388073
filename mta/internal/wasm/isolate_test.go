package wasm

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"github.com/wasmta/wasmta/mta/internal/mail"
	"github.com/wasmta/wasmta/mta/internal/testpeer"
	"github.com/wasmta/wasmta/sdk/abi"
)

// wat makes a module of its text.
func wat(t testing.TB, text string) []byte {
	t.Helper()
	in := filepath.Join(t.TempDir(), "module.wat")
	if err := os.WriteFile(in, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return watFile(t, in)
}

func watFile(t testing.TB, file string) []byte {
	t.Helper()
	out := filepath.Join(t.TempDir(), "module.wasm")
	if text, err := exec.Command(testpeer.Need(t, "wat2wasm", "wabt"), "-o", out, file).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", file, err, text)
	}
	b, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// systems are the ways to keep an instance's memory. Tests run on all of them.
var systems = map[string]func(*Runtime){
	"this system": func(*Runtime) {},
	"no pagemap": func(r *Runtime) {
		r.newImage = func(octets []byte) *image {
			img := newImage(octets)
			if img.pagemap != nil {
				img.pagemap.Close()
				img.pagemap = nil
			}
			return img
		}
	},
	"no memfd": func(r *Runtime) { r.newImage = copiedImage },
	"no mmap":  func(r *Runtime) { r.newImage, r.newSpace = copiedImage, newSliceSpace },
}

// rememberers are guests that answer accept if they remember that they were
// asked before: what remembers comes before or, as code, into a hook that
// leaves 1 if there was a message before.
var rememberers = map[string]struct{ state, hook string }{
	"a little memory": {`(memory 1)`, `(i32.load (i32.const 4096)) (i32.store (i32.const 4096) (i32.const 1))`},
	"much memory":     {`(memory 40)`, `(i32.load (i32.const 2000000)) (i32.store (i32.const 2000000) (i32.const 1))`},
	"all of much memory": {`(memory 80)`, `(i32.load (i32.const 5000000))
		(memory.fill (i32.const 0) (i32.const 1) (i32.const 5242880))
		(i32.const 1) (i32.and)`},
	"grown memory": {`(memory 1)`, `(i32.ne (memory.size) (i32.const 1)) (drop (memory.grow (i32.const 3)))`},
	"what is in grown memory": {`(memory 40)`, `(drop (memory.grow (i32.const 20)))
		(i32.load (i32.const 3900000)) (i32.store (i32.const 3900000) (i32.const 1))`},
	"a global":         {`(global $g (mut i32) (i32.const 0))`, `(global.get $g) (global.set $g (i32.const 1))`},
	"an exported one":  {`(global $g (export "g") (mut i32) (i32.const 0))`, `(global.get $g) (global.set $g (i32.const 1))`},
	"a global of 64":   {`(global $g (mut i64) (i64.const 0))`, `(i32.wrap_i64 (global.get $g)) (global.set $g (i64.const 1))`},
	"a global of f64":  {`(global $g (mut f64) (f64.const 0))`, `(i32.trunc_f64_s (global.get $g)) (global.set $g (f64.const 1))`},
	"a global of v128": {`(global $g (mut v128) (v128.const i64x2 0 0))`, `(i32x4.extract_lane 3 (global.get $g)) (global.set $g (v128.const i32x4 0 0 0 1))`},
	"a global of funcref": {`(global $g (mut funcref) (ref.null func)) (func $f) (elem declare func $f)`,
		`(i32.eqz (ref.is_null (global.get $g))) (global.set $g (ref.func $f))`},
	"a table": {`(table 3 funcref) (func $f) (elem declare func $f)`,
		`(i32.eqz (ref.is_null (table.get 0 (i32.const 1)))) (table.set 0 (i32.const 1) (ref.func $f))`},
	"a filled table": {`(table 3 funcref) (func $f) (elem declare func $f)`,
		`(i32.eqz (ref.is_null (table.get 0 (i32.const 1)))) (table.fill 0 (i32.const 0) (ref.func $f) (i32.const 3))`},
	"a copied table": {`(table 3 funcref) (elem (i32.const 0) $f) (func $f)`,
		`(i32.eqz (ref.is_null (table.get 0 (i32.const 2)))) (table.copy 0 0 (i32.const 2) (i32.const 0) (i32.const 1))`},
	"a grown table": {`(table 3 funcref)`, `(i32.ne (table.size 0) (i32.const 3)) (drop (table.grow 0 (ref.null func) (i32.const 1)))`},
	"an open file": {`(import "wasi_snapshot_preview1" "path_open" (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
		(memory 1) (data (i32.const 0) "file")`,
		`(if (call $open (i32.const 3) (i32.const 0) (i32.const 0) (i32.const 4) (i32.const 0) (i64.const 2) (i64.const 0) (i32.const 0) (i32.const 64))
			(then (unreachable)))
		(i32.ne (i32.load (i32.const 64)) (i32.const 4))`},
	"a closed folder": {`(import "wasi_snapshot_preview1" "fd_close" (func $close (param i32) (result i32)))`,
		`(i32.ne (call $close (i32.const 3)) (i32.const 0))`},
	"random numbers, seeded in memory": {`(memory 1)`, `(i64.ne (i64.load (i32.const 8)) (i64.const 0))
		(i64.store (i32.const 8) (i64.add (i64.mul (i64.load (i32.const 8)) (i64.const 6364136223846793005)) (i64.const 1)))`},
}

// These two remember by what is not there any more.
var forgetters = map[string]struct{ state, hook string }{
	"a dropped data segment": {`(memory 1) (data "abc")`, `(memory.init 0 (i32.const 0) (i32.const 0) (i32.const 3)) (data.drop 0) (i32.const 0)`},
	"a dropped element segment": {`(table 3 funcref) (func $f) (elem func $f)`,
		`(table.init 0 (i32.const 0) (i32.const 0) (i32.const 1)) (elem.drop 0) (i32.const 0)`},
}

// remembering makes the modules of a table.
func remembering(t testing.TB, table map[string]struct{ state, hook string }) map[string][]byte {
	codes := map[string][]byte{}
	for name, tt := range table {
		codes[name] = wat(t, fmt.Sprintf("(module %s (func (export \"on_message\") (result i32) %s))", tt.state, tt.hook))
	}
	return codes
}

// folder has one file, as guests see it: /f/file.
func folder(t testing.TB) []Folder {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "file"), []byte("text"), 0o600); err != nil {
		t.Fatal(err)
	}
	return []Folder{{Name: "f", Path: dir}}
}

// TestNothingRemains asks guests that try to remember: with isolation they do
// not, and without it they do, so that the test can tell.
func TestNothingRemains(t *testing.T) {
	remember, forget := remembering(t, rememberers), remembering(t, forgetters)
	for system, set := range systems {
		t.Run(system, func(t *testing.T) {
			for name, code := range remember {
				for isolation, want := range map[Isolation]mail.Verdict{IsolateMessage: mail.Continue, IsolateNone: mail.Accept} {
					rt := newRuntime(t, Options{})
					set(rt)
					p := loadWith(t, rt, LoadOptions{Wasm: code, Isolation: isolation, Instances: 1, Folders: folder(t)})
					for i := range 5 {
						a, err := p.Handle(t.Context(), abi.HookMessage, transaction())
						if i == 0 {
							if err != nil || a.Verdict != mail.Continue {
								t.Fatalf("%s: the first message: %v, %v", name, a.Verdict, err)
							}
						} else if err != nil || a.Verdict != want {
							t.Errorf("%s, isolation %s, message %d: %v, %v; want %v", name, isolation, i, a.Verdict, err, want)
						}
					}
				}
			}
			for name, code := range forget {
				rt := newRuntime(t, Options{})
				set(rt)
				p := loadWith(t, rt, LoadOptions{Wasm: code, Instances: 1})
				for i := range 3 {
					if _, err := p.Handle(t.Context(), abi.HookMessage, transaction()); err != nil {
						t.Errorf("%s, message %d: %v", name, i, err)
					}
				}
				p = loadWith(t, rt, LoadOptions{Wasm: code, Instances: 1, Isolation: IsolateNone})
				p.Handle(t.Context(), abi.HookMessage, transaction())
				_, err := p.Handle(t.Context(), abi.HookMessage, transaction())
				if e, ok := errors.AsType[*Error](err); !ok || e.Kind != KindTrap {
					t.Errorf("%s, without isolation: %v, want a trap", name, err)
				}
			}
		})
	}
}

// TestClones has what on_load left in memory, in globals and on a grown page in
// each of the instances that work at once.
func TestClones(t *testing.T) {
	code := wat(t, `(module (memory 40) (global $g (mut i32) (i32.const 0))
		(func (export "_initialize") (drop (memory.grow (i32.const 2))) (i32.store (i32.const 2700000) (i32.const 7)))
		(func (export "on_load") (result i32) (i32.store (i32.const 9) (i32.const 7)) (global.set $g (i32.const 7)) (i32.const 0))
		(func (export "on_message") (result i32)
			(i32.sub (i32.const 21) (i32.add (global.get $g) (i32.add (i32.load (i32.const 9)) (i32.load (i32.const 2700000)))))
			(i32.store (i32.const 9) (i32.const 1)) (global.set $g (i32.const 1))))`)
	for system, set := range systems {
		t.Run(system, func(t *testing.T) {
			rt := newRuntime(t, Options{})
			set(rt)
			p := loadWith(t, rt, LoadOptions{Wasm: code, Instances: 4})
			if p.state == nil {
				t.Fatal("it cannot be cloned")
			}
			var workers []worker
			for range 4 {
				w, err := p.acquire(t.Context(), abi.HookMessage)
				if err != nil {
					t.Fatal(err)
				}
				workers = append(workers, w)
			}
			for range 3 {
				for i, w := range workers {
					if a, err := p.ask(t.Context(), w, abi.HookMessage, transaction()); err != nil || a.Verdict != mail.Continue {
						t.Errorf("instance %d: %v, %v", i, a.Verdict, err)
					}
					if err := w.settle(); err != nil {
						t.Errorf("instance %d: %v", i, err)
					}
				}
			}
			for _, w := range workers {
				p.release(t.Context(), w, nil)
			}
		})
	}
}

// TestSecrets passes messages through a few instances at once: a guest that
// keeps all it was given finds nothing of another message.
func TestSecrets(t *testing.T) {
	code := wat(t, `(module (import "mta1" "sender_get" (func $sender (param i32 i32) (result i32)))
		(memory 40) (global $at (mut i32) (i32.const 2000000))
		(func (export "on_message") (result i32) (local $i i32)
			(loop $next
				(if (i32.load (i32.add (i32.const 2000000) (local.get $i))) (then (return (i32.const 1))))
				(br_if $next (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 4096))) (i32.const 65536))))
			(drop (call $sender (global.get $at) (i32.const 100)))
			(global.set $at (i32.add (global.get $at) (i32.const 4096)))
			(i32.const 0)))`)
	p := loadWith(t, newRuntime(t, Options{}), LoadOptions{Wasm: code, Instances: 3})
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 200 {
				if a, err := p.Handle(t.Context(), abi.HookMessage, transaction()); err != nil || a.Verdict != mail.Continue {
					t.Errorf("%v, %v", a.Verdict, err)
				}
			}
		})
	}
	wg.Wait()
}

// TestGrownInstanceIsKept holds that growing costs no instance: its memory can
// be made smaller again, and what is behind its end is out of reach.
func TestGrownInstanceIsKept(t *testing.T) {
	code := wat(t, `(module (memory 1)
		(func (export "on_message") (result i32)
			(drop (memory.grow (i32.const 40)))
			(memory.fill (i32.const 0) (i32.const 255) (i32.mul (memory.size) (i32.const 65536)))
			(i32.const 0))
		(func (export "on_data") (result i32) (i32.load (i32.const 65536))))`)
	for system, set := range systems {
		t.Run(system, func(t *testing.T) {
			rt := newRuntime(t, Options{})
			set(rt)
			p := loadWith(t, rt, LoadOptions{Wasm: code, Instances: 1})
			before := p.idle[0]
			for range 3 {
				if _, err := p.Handle(t.Context(), abi.HookMessage, transaction()); err != nil {
					t.Fatal(err)
				}
			}
			if p.idle[0] != before {
				t.Error("the instance was discarded")
			}
			_, err := p.Handle(t.Context(), abi.HookData, transaction())
			if e, ok := errors.AsType[*Error](err); !ok || e.Kind != KindTrap {
				t.Errorf("what is behind the end: %v, want a trap", err)
			}
		})
	}
}

// TestLoadedTable has a plugin whose on_load changes a table: its instances
// cannot be clones, and are loaded one by one.
func TestLoadedTable(t *testing.T) {
	code := wat(t, `(module (memory 40) (table 3 funcref) (func $f) (elem declare func $f)
		(func (export "on_load") (result i32) (table.set 0 (i32.const 1) (ref.func $f)) (i32.store (i32.const 2000000) (i32.const 1)) (i32.const 0))
		(func (export "on_message") (result i32)
			(i32.or (ref.is_null (table.get 0 (i32.const 1))) (i32.ne (i32.load (i32.const 2000000)) (i32.const 1)))
			(i32.store (i32.const 2000000) (i32.const 2)))
		(func (export "on_data") (result i32) (table.set 0 (i32.const 1) (ref.null func)) (i32.const 0))
		(func (export "on_rcpt") (result i32) (unreachable)))`)
	for system, set := range systems {
		rt := newRuntime(t, Options{})
		set(rt)
		p := loadWith(t, rt, LoadOptions{Wasm: code, Instances: 1})
		if p.state != nil {
			t.Error("it can be cloned")
		}
		for _, hook := range []string{abi.HookMessage, abi.HookMessage, abi.HookData, abi.HookMessage, abi.HookRcpt, abi.HookMessage} {
			a, err := p.Handle(t.Context(), hook, transaction())
			if hook != abi.HookRcpt && (err != nil || a.Verdict != mail.Continue) {
				t.Errorf("%s, %s: %v, %v", system, hook, a.Verdict, err)
			}
		}
	}
}

// TestRoom holds that stages together cannot make more of a message than one of
// them could.
func TestRoom(t *testing.T) {
	for _, tt := range []struct{ made, limit, usual, want int }{
		{0, 0, 100, 100}, {0, 0, 10, 10}, {0, 5, 10, 5}, {95, 0, 10, 5}, {95, 0, 100, 5}, {99, 3, 10, 1}, {100, 0, 10, -1}, {1000, 3, 10, -1},
	} {
		if got := room(&mail.Transaction{Together: tt.made}, tt.limit, tt.usual); got != tt.want {
			t.Errorf("%+v: got %d", tt, got)
		}
	}
}
