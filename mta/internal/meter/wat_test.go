package meter_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/wasmta/wasmta/mta/internal/meter"
	"github.com/wasmta/wasmta/mta/internal/testpeer"
)

// wat assembles a module's text. What is wrong in it stays.
func wat(t testing.TB, text string) []byte {
	t.Helper()
	program := testpeer.Need(t, "wat2wasm", "wabt")
	dir := t.TempDir()
	in, out := filepath.Join(dir, "in.wat"), filepath.Join(dir, "out.wasm")
	if err := os.WriteFile(in, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if msg, err := exec.Command(program, "--no-check", "-o", out, in).CombinedOutput(); err != nil {
		t.Fatalf("wat2wasm: %v\n%s", err, msg)
	}
	wasm, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	return wasm
}

// callBomb is a chain of functions that each call the one before twice: no
// loop, no recursion, 2^n calls.
func callBomb(n int) string {
	var b strings.Builder
	b.WriteString("(module (func $f0)\n")
	for i := 1; i <= n; i++ {
		fmt.Fprintf(&b, "(func $f%d call $f%d call $f%d)\n", i, i-1, i-1)
	}
	fmt.Fprintf(&b, `(func (export "run") call $f%d))`, n)
	return b.String()
}

// TestBounded holds that whatever a module does, it comes to Yield while it
// has the fuel or the stack that it was given, and never uses more of a
// slice than a function's own code in one go.
func TestBounded(t *testing.T) {
	forever := `(module (memory 400) (table $t 100000 funcref) (table $u 100000 funcref)
		(elem declare func $run) (func $run (export "run") (loop %s (br 0))))`
	tests := []struct {
		situation, text string
		want            error
	}{
		{"an endless loop", fmt.Sprintf(forever, ""), errFuel},
		{"a loop that goes on by br_table", `(module (func (export "run") (loop (br_table 0 0 0 (i32.const 7)))))`, errFuel},
		{"a loop with a table of 10,000 labels", `(module (func (export "run") (loop (block (br_table ` +
			strings.Repeat("0 1 ", 5000) + `1 (i32.const 8001))))))`, errFuel},
		{"loops in loops that end at once", `(module (func (export "run") (loop (loop (loop (br 2))))))`, errFuel},
		{"a call bomb", callBomb(64), errFuel},
		{"a loop of calls of nothing", `(module (func $f) (func (export "run") (loop (call $f) (br 0))))`, errFuel},
		{"fills of the whole memory", fmt.Sprintf(forever, `(memory.fill (i32.const 0) (i32.const 1) (i32.const 26214400))`), errFuel},
		{"copies of the whole memory, up", fmt.Sprintf(forever, `(memory.copy (i32.const 1) (i32.const 0) (i32.const 26214399))`), errFuel},
		{"copies of the whole memory, down", fmt.Sprintf(forever, `(memory.copy (i32.const 0) (i32.const 1) (i32.const 26214399))`), errFuel},
		{"fills of a table", fmt.Sprintf(forever, `(table.fill $t (i32.const 0) (ref.func $run) (i32.const 100000))`), errFuel},
		{"copies of a table", fmt.Sprintf(forever, `(table.copy $t $u (i32.const 0) (i32.const 0) (i32.const 100000))`), errFuel},
		{"growth in vain", fmt.Sprintf(forever, `(drop (memory.grow (i32.const -1)))`), errFuel},
		{"growth of a table in vain", fmt.Sprintf(forever, `(drop (table.grow $t (ref.null func) (i32.const -1)))`), errFuel},
		{"recursion", `(module (func $f (export "run") call $f))`, errStack},
		{"recursion that ends in a return", `(module (func $f (export "run") call $f return))`, errStack},
		{"recursion by two", `(module (func $f (export "run") call $g) (func $g call $f))`, errStack},
		{"recursion by three, entered in the middle", `(module (func $f call $g) (func $g call $h) (func $h call $f) (func (export "run") call $g))`, errStack},
		{"recursion through a table, by another type that is equal", `(module (type $a (func)) (type $b (func)) (table funcref (elem $g))
			(func (export "run") (call_indirect (type $a) (i32.const 0))) (func $g (type $a) (call_indirect (type $b) (i32.const 0))))`, errStack},
		{"recursion through a table", `(module (table funcref (elem $g)) (func (export "run") (call_indirect (i32.const 0)))
			(func $g (call_indirect (i32.const 0))))`, errStack},
		{"recursion with many locals", `(module (func $f (export "run") (local ` + strings.Repeat("i64 ", 50_000) + `) call $f))`, errStack},
		{"recursion behind long code", `(module (func $f (export "run") call $f ` + strings.Repeat("(drop (i32.add (i32.const 1) (i32.const 2)))", 9000) + `))`, errStack},
		{"a start function that does not end", `(module (func $f (loop (br 0))) (start $f))`, errFuel},
	}
	for _, test := range tests {
		t.Run(test.situation, func(t *testing.T) {
			const slices = 300
			h := &host{slice: 10_000, limit: slices * 10_000, stack: 1 << 16}
			err := h.run(t, wat(t, test.text))
			if !errors.Is(err, test.want) {
				t.Fatalf("%v, want %v", err, test.want)
			}
			if test.want == errFuel && (h.yields < slices/4 || h.yields > slices+1) {
				t.Errorf("%d yields for %d slices of fuel", h.yields, slices)
			}
			if test.want == errStack && h.given > h.limit/4 {
				t.Errorf("%d units of fuel before the stack was out", h.given)
			}
		})
	}
}

// TestEachOfACyclePays holds that every function on a cycle of calls pays for
// its frame, wherever the cycle is entered: the one with the many locals
// leaves no stack for a second round.
func TestEachOfACyclePays(t *testing.T) {
	many := `(local ` + strings.Repeat("i64 ", 6000) + `)`
	for big := range 3 {
		text := `(module (func (export "run") call $f0) `
		for i := range 3 {
			locals := ""
			if i == big {
				locals = many
			}
			text += fmt.Sprintf("(func $f%d %s call $f%d) ", i, locals, (i+1)%3)
		}
		h := &host{slice: 1, stack: 1 << 16}
		if err := h.run(t, wat(t, text+")")); !errors.Is(err, errStack) || h.given > 20 {
			t.Errorf("with the locals in function %d: %v after %d units", big, err, h.given)
		}
	}
}

// run instantiates a module, with its start function, and calls its export
// run. Unlike start, it hands back how that failed.
func (h *host) run(t *testing.T, wasm []byte) error {
	r := newRuntime(t)
	h.install(t, r)
	mod, err := h.instantiate(t.Context(), r, rewrite(t, wasm, meter.Options{}), moduleConfig)
	if err != nil {
		return err
	}
	_, err = mod.ExportedFunction("run").Call(t.Context())
	return err
}

// TestLooksOften holds that code without a loop or a call looks at its fuel as
// it goes, not only before it begins.
func TestLooksOften(t *testing.T) {
	work := strings.Repeat("(local.set 0 (i32.and (local.get 0) (i32.const 0)))\n", 50)
	for name, code := range map[string]string{
		"straight": strings.Repeat(work, 200),
		"blocks":   strings.Repeat("(block (br_if 0 (local.get 0))"+work+")\n", 200),
		"ifs":      strings.Repeat("(if (i32.eqz (local.get 0)) (then "+work+") (else (nop)))\n", 200),
		"copies":   strings.Repeat("(memory.copy (i32.const 0) (i32.const 9) (i32.const 4096))\n", 100),
	} {
		h := &host{stack: 1 << 20, slice: 1} // so that each look is a yield
		mod := start(t, h, wat(t, `(module (memory 1) (func (export "run") (local i32)`+code+"))"))
		if _, err := mod.ExportedFunction("run").Call(t.Context()); err != nil {
			t.Fatal(err)
		}
		if used := h.used(mod); used < 40_000 || int64(h.yields) < used/20_000 {
			t.Errorf("%s: %d looks for %d units", name, h.yields, used)
		}
	}
}

// TestStackIsGivenBack holds that every way out of a function gives its frame
// back, and that functions that cannot recur take none.
func TestStackIsGivenBack(t *testing.T) {
	h := &host{slice: 1 << 20, stack: 1 << 16}
	mod := start(t, h, wat(t, `(module
		(func $f (export "by end") (param i32) (result i32)
			(if (result i32) (local.get 0) (then (call $f (i32.sub (local.get 0) (i32.const 1)))) (else (i32.const 7))))
		(func $g (export "by return") (param i32) (result i32)
			(block (loop (if (local.get 0) (then (return (call $g (i32.sub (local.get 0) (i32.const 1)))))))) (return (i32.const 7)))
		(func $h (export "by branch") (param i32) (result i32)
			(block (br_if 1 (i32.const 7) (i32.eqz (local.get 0))) (drop) (br 1 (call $h (i32.sub (local.get 0) (i32.const 1))))) unreachable)
		(func $i (export "by table") (param i32) (result i32)
			(block (if (local.get 0) (then (br_table 2 2 (call $i (i32.sub (local.get 0) (i32.const 1))) (i32.const 1))))) (i32.const 7))
		(func $j (export "two results") (param i32) (result i32 i64)
			(if (local.get 0) (then (return (call $j (i32.sub (local.get 0) (i32.const 1)))))) (i32.const 7) (i64.const 8))
		(func (export "straight") (param i32) (result i32) (call $k (local.get 0)))
		(func $k (param i32) (result i32) (i32.const 7)))`))
	for _, name := range []string{"by end", "by return", "by branch", "by table", "two results", "straight"} {
		got, err := mod.ExportedFunction(name).Call(t.Context(), 100)
		if err != nil || got[0] != 7 {
			t.Errorf("%s: %v, %v, want 7", name, got, err)
		}
		if left := int64(mod.ExportedGlobal(meter.Stack).Get()); left != h.stack {
			t.Errorf("%s: %d octets of stack left, want %d", name, left, h.stack)
		}
	}
}

// TestReset holds what a host needs to know before it resets an instance from
// an image of its memory: which globals to save, and whether more has changed.
func TestReset(t *testing.T) {
	text := `(module (import "env" "clean" (func $clean)) (import "env" "dirty" (func $dirty))
		(global $i (export "mine") (mut i32) (i32.const 5)) (global $const i32 (i32.const 1))
		(global $f (mut f64) (f64.const 0)) (global $v (mut v128) (v128.const i64x2 0 0)) (global $r (mut funcref) (ref.null func))
		(memory 1) (data $d "abc") (table $t 4 funcref) (elem $e func $clean $dirty) (elem $gone func $clean) (elem (table $t) (i32.const 2) func $clean $dirty)
		(func (export "nothing"))
		(func (export "memory") (memory.fill (i32.const 0) (i32.const 1) (i32.const 9)) (i32.store (i32.const 0) (i32.const 7)) (drop (memory.grow (i32.const 1))))
		(func (export "numbers") (global.set $i (i32.const 1)) (global.set $f (f64.const 2)))
		(func (export "vector") (global.set $v (v128.const i64x2 1 1)))
		(func (export "reference") (global.set $r (ref.null func)))
		(func (export "table.set") (table.set $t (i32.const 0) (ref.null func)))
		(func (export "table.fill") (table.fill $t (i32.const 0) (ref.null func) (i32.const 1)))
		(func (export "table.grow") (drop (table.grow $t (ref.null func) (i32.const 1))))
		(func (export "table.copy") (table.copy $t $t (i32.const 0) (i32.const 1) (i32.const 1)))
		(func (export "table.init") (table.init $t $e (i32.const 0) (i32.const 0) (i32.const 1)))
		(func (export "elem.drop") (elem.drop $gone))
		(func (export "data.drop") (data.drop $d))
		(func (export "import") (call $clean))
		(func (export "dirty import") (call $dirty))
		(func (export "import by table") (call_indirect $t (i32.const 2)))
		(func (export "dirty import by table") (call_indirect $t (i32.const 3)))
		(export "dirty import again" (func $dirty)))`
	clean := map[string]bool{"nothing": true, "memory": true, "numbers": true, "import": true, "import by table": true}
	m := rewrite(t, wat(t, text), meter.Options{Dirty: func(module, name string) bool { return module == "env" && name == "dirty" }})
	if len(m.Globals) != 2 || m.Shared || m.Start {
		t.Errorf("%d globals to save, shared %v, start %v", len(m.Globals), m.Shared, m.Start)
	}
	r := newRuntime(t)
	h := &host{slice: 1 << 20, stack: 1 << 16}
	h.install(t, r)
	env := r.NewHostModuleBuilder("env")
	for _, name := range []string{"clean", "dirty"} {
		env.NewFunctionBuilder().WithFunc(func() {}).Export(name)
	}
	if _, err := env.Instantiate(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, name := range regexp.MustCompile(`export "([^"]+)" *(?:\(func|\))`).FindAllStringSubmatch(text, -1) {
		mod, err := h.instantiate(t.Context(), r, m, moduleConfig.WithName(""))
		if err != nil {
			t.Fatal(err)
		}
		if got := mod.ExportedGlobal(m.Globals[0]).Get(); got != 5 {
			t.Errorf("the first global is %d, want 5", got)
		}
		f := mod.ExportedFunction(name[1])
		if f == nil {
			continue // a global
		}
		if _, err := f.Call(t.Context()); err != nil {
			t.Fatalf("%s: %v", name[1], err)
		}
		if dirty := mod.ExportedGlobal(meter.Dirty).Get() == 1; dirty == clean[name[1]] {
			t.Errorf("%s: dirty is %v", name[1], dirty)
		}
	}
}

// TestRefused holds what is refused, in words.
func TestRefused(t *testing.T) {
	const oneFunction = "\x00asm\x01\x00\x00\x00\x01\x04\x01\x60\x00\x00\x03\x02\x01\x00" // and then its code
	tests := []struct {
		situation string
		wasm      []byte
		want      string
	}{
		{"nothing", nil, "not a WebAssembly module"},
		{"text", []byte("(module)"), "not a WebAssembly module"},
		{"a component", []byte("\x00asm\x0d\x00\x01\x00"), "not a WebAssembly module"},
		{"half a section", []byte("\x00asm\x01\x00\x00\x00\x01\x09\x01"), "unexpected end"},
		{"a vector longer than the module", []byte("\x00asm\x01\x00\x00\x00\x01\x05\xff\xff\xff\xff\x0f"), "elements in 0 octets"},
		{"a section twice", []byte("\x00asm\x01\x00\x00\x00\x03\x01\x00\x03\x01\x00"), "out of order"},
		{"2^32-1 locals", []byte(oneFunction + "\x0a\x0a\x01\x08\x01\xff\xff\xff\xff\x0f\x7f\x0b"), "limit is 50000"},
		{"an import of ours", wat(t, `(module (import "mta.meter" "yield" (func)))`), "no plugin may use"},
		{"an export of ours", wat(t, `(module (global (export "mta.meter.fuel") (mut i64) (i64.const 1)))`), "no plugin may use"},
		{"a global of ours", wat(t, `(module (func (global.set 0 (i64.const 1000))))`), "global 0, but there are only 0"},
		{"a function of ours", wat(t, `(module (func (call 1)))`), "function 1, but there are only 1"},
		{"a type of ours", wat(t, `(module (table 1 funcref) (func (call_indirect (type 1) (i32.const 0))))`), "type 1, but there are only 1"},
		{"a local of ours", wat(t, `(module (memory 1) (func (memory.fill (i32.const 0) (i32.const 0) (local.get 0))))`), "local 0, but there are only 0"},
		{"a branch past the function", wat(t, `(module (func $f (call $f) (br 1)))`), "label 1, but there are only 1"},
		{"big tables", wat(t, `(module (table 600000 funcref) (table 600000 externref))`), "tables have 1200000 elements, the limit is 1048576"},
		{"threads", []byte(oneFunction + "\x0a\x06\x01\x04\x00\xfe\x03\x0b"), "unknown instruction 0xfe"},
		{"a vector instruction written in more octets", []byte(oneFunction + "\x0a\x07\x01\x05\x00\xfd\x8c\x00\x0b"), "unknown instruction"},
	}
	for _, test := range tests {
		t.Run(test.situation, func(t *testing.T) {
			if m, err := meter.Rewrite(test.wasm, meter.Options{}); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("%v, error %v, want %q", m, err, test.want)
			}
		})
	}
}

// TestTables holds that tables grow to the limit together, and no further.
func TestTables(t *testing.T) {
	m := rewrite(t, wat(t, `(module (table $t 10 funcref) (table $u 0 20 externref) (table 3 3 funcref)
		(func (export "t") (param i32) (result i32) (table.grow $t (ref.null func) (local.get 0)))
		(func (export "u") (param i32) (result i32) (table.grow $u (ref.null extern) (local.get 0))))`), meter.Options{TableMax: 103})
	r := newRuntime(t)
	h := &host{slice: 1 << 20, stack: 1 << 16}
	h.install(t, r)
	mod, err := h.instantiate(t.Context(), r, m, moduleConfig)
	if err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct {
		table string
		by    uint64
		want  int32
	}{{"t", 31, -1}, {"t", 30, 10}, {"t", 1, -1}, {"u", 21, -1}, {"u", 20, 0}} {
		got, err := mod.ExportedFunction(step.table).Call(t.Context(), step.by)
		if err != nil || int32(got[0]) != step.want {
			t.Errorf("grow %s by %d: %v, %v, want %d", step.table, step.by, got, err, step.want)
		}
	}
}
