package meter_test

import (
	"bytes"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"

	"github.com/wasmta/wasmta/mta/internal/meter"
)

// random is n octets that are the same on each run.
func random(seed uint64, n int) []byte {
	r := rand.New(rand.NewPCG(seed, 1))
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

// An outcome is all that a run of a module leaves behind.
type outcome struct {
	results []uint64
	trap    string
	memory  []byte
	number  uint64
}

// FuzzSame runs modules made at random as they are and rewritten, and compares
// what comes out. The fuel is the same however it is handed out, and no less
// than what was run.
func FuzzSame(f *testing.F) {
	for seed := range uint64(60) {
		f.Add(random(seed, 300+int(seed)*20))
	}
	f.Fuzz(func(t *testing.T, choices []byte) {
		if len(choices) > 1<<13 {
			t.Skip("long enough")
		}
		wasm := (&gen{choices: choices}).module()
		exact, err := meter.RewriteExactly(wasm, meter.Options{})
		if err != nil {
			t.Fatal(err)
		}
		m := rewrite(t, wasm, meter.Options{})
		want := outcomes(t, nil, wasm)
		ran := &host{slice: 1 << 30, stack: 1 << 22}
		sameOutcomes(t, outcomes(t, ran, exact.Wasm), want)
		first := int64(0)
		for i, slice := range []int64{1 << 30, 1, 1009} {
			h := &host{slice: slice, stack: 1 << 22}
			sameOutcomes(t, outcomes(t, h, m.Wasm), want)
			if i == 0 {
				first = h.spent
			}
			if h.spent != first || h.spent < ran.spent {
				t.Errorf("%d units in slices of %d, %d in slices of 2^30; %d were run", h.spent, slice, first, ran.spent)
			}
		}
	})
}

// outcomes calls each function of a module of gen, in a new instance: a trap
// may leave anything. The fuel of all is added up in h.
func outcomes(t *testing.T, h *host, wasm []byte) []outcome {
	r := newRuntime(t)
	_, err := r.NewHostModuleBuilder("env").NewFunctionBuilder().WithFunc(func() uint32 { return 42 }).Export("host").Instantiate(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if h != nil {
		h.install(t, r)
	}
	compiled, err := r.CompileModule(t.Context(), wasm)
	if err != nil {
		t.Fatal(err)
	}
	var all []outcome
	for i, sig := range functions {
		mod, err := r.InstantiateModule(t.Context(), compiled, wazero.NewModuleConfig().WithName(""))
		if err != nil {
			t.Fatal(err)
		}
		if h != nil {
			h.fill(mod)
			h.given = 0
		}
		args := []uint64{70_000, 9}[:len(signatures[sig].params)]
		results, err := mod.ExportedFunction("f"+string(rune('0'+i))).Call(t.Context(), args...)
		if h != nil {
			h.spent += h.used(mod)
			if left := int64(mod.ExportedGlobal(meter.Stack).Get()); err == nil && left != h.stack {
				t.Errorf("f%d: %d octets of stack left of %d", i, left, h.stack)
			}
		}
		memory, _ := mod.ExportedMemory("m").Read(0, mod.ExportedMemory("m").Size())
		all = append(all, outcome{results, kind(err), bytes.Clone(memory), mod.ExportedGlobal("n").Get()})
		mod.Close(t.Context())
	}
	return all
}

func sameOutcomes(t *testing.T, got, want []outcome) {
	t.Helper()
	for i, w := range want {
		g := got[i]
		if !slices.Equal(g.results, w.results) || g.trap != w.trap || g.number != w.number {
			t.Errorf("f%d: %v, trap %q, number %d; want %v, %q, %d", i, g.results, g.trap, g.number, w.results, w.trap, w.number)
		}
		if !bytes.Equal(g.memory, w.memory) {
			t.Errorf("f%d: the memory is not the same", i)
		}
	}
}

// FuzzRewrite rewrites anything. What the runtime takes, it takes rewritten,
// unless it is over one of the limits; what it refuses, it still refuses.
func FuzzRewrite(f *testing.F) {
	f.Add([]byte(nil))
	f.Add((&gen{choices: random(1, 2000)}).module())
	for _, name := range []string{"names.0", "elem.0", "bulk.0", "simd_const.0", "br_table.0", "table_init.1", "ref_func.1", "memory_copy.1", "global.0"} {
		b, err := os.ReadFile(filepath.Join(spectestDir(f), "v2", "testdata", name+".wasm"))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	config := wazero.NewRuntimeConfigInterpreter().WithCoreFeatures(api.CoreFeaturesV2)
	f.Fuzz(func(t *testing.T, wasm []byte) {
		compile := func(b []byte) error {
			r := wazero.NewRuntimeWithConfig(t.Context(), config)
			defer r.Close(t.Context())
			_, err := r.CompileModule(t.Context(), b)
			return err
		}
		m, err := meter.Rewrite(wasm, meter.Options{TableMax: 1 << 30})
		if err != nil {
			// Only when all sections could be read can the runtime be asked
			// about the rest: it allocates for whatever a count says.
			if strings.HasPrefix(err.Error(), "code: ") && compile(wasm) == nil {
				t.Fatalf("refused what is valid: %v", err)
			}
			return
		}
		want, got := compile(wasm), compile(m.Wasm)
		if want != nil && strings.Contains(want.Error(), "section custom") {
			return // names that cannot be read are left out
		}
		if (want == nil) != (got == nil) {
			t.Fatalf("rewritten %v, as it was %v", got, want)
		}
	})
}
