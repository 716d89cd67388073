package linker

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"

	"github.com/wasmta/wasmta/mta/internal/testpeer"
)

// base has what numbers of functions stand in: calls, a table, an export, a
// start function, and instructions with immediates around them.
const base = `(module
  (import "env" "gone" (func $gone (param i32) (result i32)))
  (import "env" "stays" (func $stays (param i32) (result i32)))
  (memory (export "memory") 1)
  (table 4 funcref)
  (elem (i32.const 1) $double $stays $gone)
  (global $started (mut i32) (i32.const 0))
  (global $wide i64 (i64.const -9000000000))
  (data (i32.const 16) "sixteen")
  (func $start (global.set $started (i32.const -559038737)))
  (start $start)
  (func $double (param i32) (result i32) (i32.mul (local.get 0) (i32.const 2)))
  (func (export "started") (result i32) (global.get $started))
  (func (export "direct") (param i32) (result i32)
    (if (result i32) (i64.lt_s (global.get $wide) (i64.const -8999999999))
      (then (call $gone (call $stays (call $double (local.get 0)))))
      (else (i32.trunc_sat_f64_s (f64.const 2.5)))))
  (func (export "indirect") (param i32 i32) (result i32)
    (block (block (br_table 0 1 0 (local.get 0))))
    (call_indirect (param i32) (result i32) (local.get 1) (local.get 0)))
  (func (export "copy") (memory.copy (i32.const 32) (i32.const 16) (i32.const 7))))`

func assemble(t testing.TB, wat string) []byte {
	t.Helper()
	testpeer.Need(t, "wat2wasm", "wabt")
	dir := t.TempDir()
	in, out := filepath.Join(dir, "m.wat"), filepath.Join(dir, "m.wasm")
	if err := os.WriteFile(in, []byte(wat), 0o600); err != nil {
		t.Fatal(err)
	}
	if msg, err := exec.Command("wat2wasm", "--debug-names", "-o", out, in).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, msg)
	}
	b, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

var one = Signature{[]Type{I32}, []Type{I32}}

// instantiate runs a module whose imports of env add 100 and 1000.
func instantiate(t *testing.T, wasm []byte) api.Module {
	t.Helper()
	rt := wazero.NewRuntime(t.Context())
	t.Cleanup(func() { rt.Close(context.Background()) })
	env := rt.NewHostModuleBuilder("env")
	for name, n := range map[string]uint32{"gone": 100, "stays": 1000} {
		env.NewFunctionBuilder().WithFunc(func(x uint32) uint32 { return x + n }).Export(name)
	}
	if _, err := env.Instantiate(t.Context()); err != nil {
		t.Fatal(err)
	}
	mod, err := rt.Instantiate(t.Context(), wasm)
	if err != nil {
		t.Fatal(err)
	}
	return mod
}

func call(t *testing.T, mod api.Module, name string, args ...uint64) int32 {
	t.Helper()
	f := mod.ExportedFunction(name)
	if f == nil {
		t.Fatalf("no export %s", name)
	}
	results, err := f.Call(t.Context(), args...)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	if len(results) == 0 {
		return 0
	}
	return int32(uint32(results[0]))
}

// TestNothingAdded holds that a module does the same after it was taken apart
// and put together.
func TestNothingAdded(t *testing.T) {
	before := assemble(t, base)
	l, err := New(before)
	if err != nil {
		t.Fatal(err)
	}
	after, err := l.Module()
	if err != nil {
		t.Fatal(err)
	}
	for name, wasm := range map[string][]byte{"before": before, "after": after} {
		mod := instantiate(t, wasm)
		for _, tt := range []struct {
			name string
			args []uint64
			want int32
		}{
			{"started", nil, -559038737}, {"direct", []uint64{7}, 1114}, {"copy", nil, 0},
			{"indirect", []uint64{1, 7}, 14}, {"indirect", []uint64{2, 7}, 1007}, {"indirect", []uint64{3, 7}, 107},
		} {
			if got := call(t, mod, tt.name, tt.args...); got != tt.want {
				t.Errorf("%s: %s%v is %d, want %d", name, tt.name, tt.args, got, tt.want)
			}
		}
		if b, _ := mod.Memory().Read(32, 7); string(b) != "sixteen" {
			t.Errorf("%s: memory has %q", name, b)
		}
	}
	if bytes.Contains(after, []byte("\x04name")) {
		t.Error("custom sections are still there")
	}
}

// extend replaces an import and adds an import, a function, a global and data.
func extend(l *Linker) {
	l.Import("env", "stays", one)
	l.Global("calls")
	l.Data("text", []byte("twenty"))
	l.Replace("env", "gone", "minus")
	l.Define(Func{Name: "minus", Signature: one, Body: func(c *Code) {
		c.GlobalGet("calls").Const(1).Add().GlobalSet("calls")
		c.Get(0).Const(5).Sub()
	}})
	l.Define(Func{Name: "added", Signature: Signature{Results: []Type{I32}}, Locals: []Type{I32}, Body: func(c *Code) {
		c.Const(64).Init("text")
		c.Const(70).Const(64).Const(2).Copy()
		c.Const(-70).Set(0)
		c.Loop().Get(0).Const(1).Add().Set(0).Const(0).Get(0).GtS().BrIf(0).End()
		c.Get(0).Call("direct").Call("env.stays").GlobalGet("calls").Add()
	}})
	l.Export("direct", "added")
	l.Keep("memory", "indirect")
}

func TestExtend(t *testing.T) {
	l, err := New(assemble(t, base))
	if err != nil {
		t.Fatal(err)
	}
	extend(l)
	wasm, err := l.Module()
	if err != nil {
		t.Fatal(err)
	}
	if again, err := l.Module(); err != nil || !bytes.Equal(wasm, again) {
		t.Errorf("linked again it is another module (%v)", err)
	}
	mod := instantiate(t, wasm)
	// 0 doubled, plus 1000, minus 5, plus 1000, plus one call.
	if got := call(t, mod, "direct"); got != 1996 {
		t.Errorf("got %d, want 1996", got)
	}
	if got := call(t, mod, "indirect", 3, 7); got != 2 {
		t.Errorf("the table has the import that went: got %d, want 2", got)
	}
	if b, _ := mod.Memory().Read(64, 8); string(b) != "twentytw" {
		t.Errorf("memory has %q", b)
	}
	if mod.ExportedFunction("started") != nil {
		t.Error("an export is there that was not kept")
	}
}

func TestErrors(t *testing.T) {
	wasm := assemble(t, base)
	for _, tt := range []struct {
		name string
		do   func(*Linker)
		want string
	}{
		{"replace what is not imported", func(l *Linker) { l.Replace("env", "other", "f") }, "does not import other of env"},
		{"replace by nothing", func(l *Linker) { l.Replace("env", "gone", "f") }, "no function f to replace"},
		{"replace by another type", func(l *Linker) {
			l.Define(Func{Name: "f", Body: func(*Code) {}})
			l.Replace("env", "gone", "f")
		}, "of another type"},
		{"export nothing", func(l *Linker) { l.Export("f", "f") }, "no function f"},
		{"unknown names in code", func(l *Linker) {
			l.Define(Func{Name: "f", Body: func(c *Code) { c.Call("a").GlobalGet("b").Init("c") }})
		}, "no function a in the module\nno global b\nno data c"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l, err := New(wasm)
			if err != nil {
				t.Fatal(err)
			}
			tt.do(l)
			if _, err := l.Module(); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}

// FuzzLink holds that damaged modules are an error or are linked, and that a
// sound one stays sound.
func FuzzLink(f *testing.F) {
	if _, err := exec.LookPath("wat2wasm"); err == nil {
		f.Add(assemble(f, base))
	}
	f.Add([]byte(header))
	rt := wazero.NewRuntimeWithConfig(f.Context(), wazero.NewRuntimeConfigInterpreter().WithMemoryLimitPages(16))
	defer rt.Close(context.Background())
	f.Fuzz(func(t *testing.T, wasm []byte) {
		l, err := New(wasm)
		if err != nil {
			return
		}
		l.Define(Func{Name: "added", Body: func(*Code) {}})
		l.Import("env", "added", one)
		linked, err := l.Module()
		if err != nil {
			return
		}
		if _, err := rt.CompileModule(t.Context(), wasm); err != nil {
			return
		}
		if _, err := rt.CompileModule(t.Context(), linked); err != nil {
			t.Errorf("the module was sound, and is not: %v", err)
		}
	})
}
