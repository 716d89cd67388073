package meter_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/wasmta/wasmta/mta/internal/meter"
)

// TestFuel holds what functions cost, counted by hand: exactly, where each
// piece of straight code pays for itself, and as modules are rewritten for
// use, where an entry and a loop header pay for the dearest path from them.
func TestFuel(t *testing.T) {
	// drops is n instructions that cost something.
	drops := func(n int) string { return strings.Repeat("(drop (i32.const 1))", n) }
	tests := []struct {
		situation, body string
		arg             uint64
		exact, usual    int64
	}{
		{"nothing", ``, 0, 1, 1},
		{"straight code", drops(10), 0, 11, 11},
		{"free instructions", `nop (block nop) (drop (i32.const 1)) return`, 0, 2, 2},
		{"behind a return", `return ` + drops(50), 0, 1, 1},
		{"an if that is not taken", `(if (local.get 0) (then ` + drops(10) + `)) ` + drops(3), 0, 1 + 2 + 3, 1 + 2 + 10 + 3},
		{"an if that is taken", `(if (local.get 0) (then ` + drops(10) + `)) ` + drops(3), 1, 1 + 2 + 10 + 3, 1 + 2 + 10 + 3},
		{"a long if that is not taken", `(if (local.get 0) (then ` + drops(40) + `)) ` + drops(3), 0, 1 + 2 + 3, 1 + 2 + 3},
		{"a long if that is taken", `(if (local.get 0) (then ` + drops(40) + `)) ` + drops(3), 1, 1 + 2 + 40 + 3, 1 + 2 + 40 + 3},
		{"an if that returns, not taken", `(if (local.get 0) (then return)) ` + drops(9), 0, 1 + 2 + 9, 1 + 2 + 9},
		{"an else", `(if (local.get 0) (then ` + drops(5) + `) (else ` + drops(8) + `)) ` + drops(2), 0, 1 + 2 + 8 + 2, 1 + 2 + 8 + 2},
		{"a then beside a dearer else", `(if (local.get 0) (then ` + drops(5) + `) (else ` + drops(8) + `)) ` + drops(2), 1, 1 + 2 + 5 + 2, 1 + 2 + 8 + 2},
		{"a branch over code, taken", `(block (br_if 0 (local.get 0)) ` + drops(7) + `) ` + drops(2), 1, 1 + 2 + 2, 1 + 2 + 7 + 2},
		{"a branch over code, not taken", `(block (br_if 0 (local.get 0)) ` + drops(7) + `) ` + drops(2), 0, 1 + 2 + 7 + 2, 1 + 2 + 7 + 2},
		{"a branch table", `(block (block (br_table 0 1 (local.get 0))) ` + drops(7) + `) ` + drops(2), 1, 1 + 2 + 2, 1 + 2 + 7 + 2},
		{"a loop, three rounds", `(loop (local.set 0 (i32.sub (local.get 0) (i32.const 1))) (br_if 0 (local.get 0))) ` + drops(5), 3, 1 + 3*(1+4+2) + 5, 1 + 3*(1+4+2) + 5},
		{"a loop left by a branch", `(block (loop (br_if 1 (local.get 0)) ` + drops(4) + ` unreachable)) ` + drops(5), 1, 1 + (1 + 2) + 5, 1 + (1 + 2 + 4) + 5},
		{"a loop left by a branch, and nothing else", drops(6) + `(block (loop (br 1))) ` + drops(5), 1, 1 + 6 + (1 + 1) + 5, 1 + 6 + (1 + 1) + 5},
		{"a loop in a loop", `(loop ` + drops(3) + ` (loop ` + drops(4) + `) ` + drops(2) + `)`, 0, 1 + (1 + 3 + 2) + (1 + 4), 1 + (1 + 3 + 2) + (1 + 4)},
		{"a call", `(call $callee)` + drops(1), 0, 1 + 1 + 3 + 1, 1 + 1 + 3 + 1},
		{"a call of an import", `(call $import)`, 0, 1 + 1 + 100, 1 + 1 + 100},
		{"a call of an import by a table", `(call_indirect (i32.const 0))`, 0, 1 + 2 + 100, 1 + 2 + 100},
		{"a fill of a constant length", `(memory.fill (i32.const 0) (i32.const 0) (i32.const 800))`, 0, 1 + 4 + 8 + 100, 1 + 4 + 8 + 100},
		{"a short fill", `(memory.fill (i32.const 0) (i32.const 0) (local.get 0))`, 800, 1 + 4 + 8 + 100, 1 + 4 + 8 + 100},
		{"a long fill", `(memory.fill (i32.const 0) (i32.const 0) (local.get 0))`, 150_000, 1 + 4 + 3*8 + 150_000/8, 1 + 4 + 3*8 + 150_000/8},
		{"growth", `(drop (memory.grow (local.get 0)))`, 2, 1 + 2 + 100 + 2*8192, 1 + 2 + 100 + 2*8192},
		{"growth that fails", `(drop (memory.grow (local.get 0)))`, 1 << 20, 1 + 2 + 100, 1 + 2 + 100},
		{"growth of a table", `(drop (table.grow 0 (ref.null func) (local.get 0)))`, 50, 1 + 3 + 100 + 50, 1 + 3 + 100 + 50},
	}
	for _, test := range tests {
		t.Run(test.situation, func(t *testing.T) {
			wasm := wat(t, `(module (import "env" "import" (func $import)) (memory 4) (table 1 funcref) (elem (i32.const 0) $import)
				(func $callee `+drops(2)+`) (func (export "run") (param i32) `+test.body+`))`)
			for i, rewrite := range []func([]byte, meter.Options) (*meter.Module, error){meter.RewriteExactly, meter.Rewrite} {
				m, err := rewrite(wasm, meter.Options{})
				if err != nil {
					t.Fatal(err)
				}
				r := newRuntime(t)
				h := &host{slice: 1 << 20, stack: 1 << 16}
				h.install(t, r)
				if _, err := r.NewHostModuleBuilder("env").NewFunctionBuilder().WithFunc(func() {}).Export("import").Instantiate(t.Context()); err != nil {
					t.Fatal(err)
				}
				mod, err := h.instantiate(t.Context(), r, m, moduleConfig)
				if err != nil {
					t.Fatal(err)
				}
				if _, err := mod.ExportedFunction("run").Call(t.Context(), test.arg); err != nil {
					t.Fatal(err)
				}
				if got, want := h.used(mod), []int64{test.exact, test.usual}[i]; got != want {
					t.Errorf("%d units, want %d (%s)", got, want, []string{"exact", "usual"}[i])
				}
			}
		})
	}
}

// TestLongBulk holds that bulk instructions of many pieces do what they did:
// up and down, to the end of what there is and past it, when nothing at all is
// written, and when their segment has been dropped.
func TestLongBulk(t *testing.T) {
	const memory, table, data, elems = 4 << 16, 20_000, 150_000, 18_000
	text := fmt.Sprintf(`(module (memory (export "m") 4) (global (export "n") (mut i64) (i64.const 0))
		(table $t %d funcref) (table $u %d funcref) (data $d "%s") (elem $e funcref%s) (func $f0)
		(func (export "fill") (param i32 i32 i32) (memory.fill (local.get 0) (local.get 1) (local.get 2)))
		(func (export "copy") (param i32 i32 i32) (memory.init $d (i32.const 0) (i32.const 0) (i32.const %d)) (memory.copy (local.get 0) (local.get 1) (local.get 2)))
		(func (export "init") (param i32 i32 i32) (memory.init $d (local.get 0) (local.get 1) (local.get 2)))
		(func (export "init dropped") (param i32 i32 i32) (data.drop $d) (memory.init $d (local.get 0) (local.get 1) (local.get 2)))
		(func (export "table.fill") (param i32 i32 i32) (table.fill $t (local.get 0) (ref.func $f0) (local.get 2)))
		(func (export "table.copy") (param i32 i32 i32) (table.init $t $e (i32.const 0) (i32.const 0) (i32.const %d)) (table.copy $t $t (local.get 0) (local.get 1) (local.get 2)))
		(func (export "table.copy2") (param i32 i32 i32) (table.init $u $e (i32.const 0) (i32.const 0) (i32.const %d)) (table.copy $t $u (local.get 0) (local.get 1) (local.get 2)))
		(func (export "table.init") (param i32 i32 i32) (table.init $t $e (local.get 0) (local.get 1) (local.get 2)))
		(func (export "table.init dropped") (param i32 i32 i32) (elem.drop $e) (table.init $t $e (local.get 0) (local.get 1) (local.get 2)))
		(func (export "null") (param i32) (result i32) (ref.is_null (table.get $t (local.get 0)))))`,
		table, table, strings.Repeat("0123456789abcdefghijklmnopqrstuvwxyz-", data/37+1)[:data],
		strings.Repeat(" (ref.func $f0) (ref.null func) (ref.func $f0)", elems/3), data, elems, elems)
	wasm := wat(t, text)
	h := &host{slice: 1 << 20, stack: 1 << 16}
	ranges := map[string][][3]uint64{
		"": { // of memory
			{0, 0, 0}, {0, 1, 200_000}, {1, 0, 200_000}, {70_000, 5, 140_000}, {5, 70_000, 140_000}, {memory - 140_000, 0, 140_000},
			{memory - 140_000, 0, 140_001}, {0, memory - 140_000, 140_001}, {0, data - 140_000, 140_000}, {0, data - 140_000, 140_001},
			{memory, data, 0}, {memory + 1, 0, 0}, {0, 1<<32 - 1, 70_000}, {1<<32 - 1, 0, 70_000}, {0, 0, 1<<32 - 1}, {0, 0, 65_536}, {0, 0, 65_537},
		},
		"table.": {
			{0, 0, 0}, {0, 1, 17_000}, {1, 0, 17_000}, {table - 17_000, 0, 17_000}, {table - 17_000, 0, 17_001}, {0, elems - 17_000, 17_001},
			{0, table - 17_000, 17_001}, {table, elems, 0}, {table + 1, 0, 0}, {0, 1<<32 - 1, 9000}, {1<<32 - 1, 0, 9000}, {0, 0, 1<<32 - 1},
		},
	}
	for _, name := range []string{"fill", "copy", "init", "init dropped", "table.fill", "table.copy", "table.copy2", "table.init", "table.init dropped"} {
		prefix := ""
		if strings.HasPrefix(name, "table.") {
			prefix = "table."
		}
		for _, args := range ranges[prefix] {
			want, got := bulkOutcome(t, nil, wasm, name, args), bulkOutcome(t, h, wasm, name, args)
			if got != want {
				t.Errorf("%s %v: not the same as it was", name, args)
			}
		}
	}
}

// bulkOutcome is the trap, the memory and which elements are null after a
// call in a new instance.
func bulkOutcome(t *testing.T, h *host, wasm []byte, name string, args [3]uint64) string {
	mod := start(t, h, wasm)
	defer mod.Close(t.Context())
	_, err := mod.ExportedFunction(name).Call(t.Context(), args[:]...)
	memory, _ := mod.Memory().Read(0, mod.Memory().Size())
	nulls := []byte{}
	for i := uint64(0); i < 20_000; i += 997 {
		null, err := mod.ExportedFunction("null").Call(t.Context(), i)
		if err != nil {
			t.Fatal(err)
		}
		nulls = append(nulls, byte(null[0]))
	}
	return kind(err) + string(memory) + string(nulls)
}
