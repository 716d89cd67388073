package meter_test

import (
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/tetratelabs/wazero/api"

	"github.com/wasmta/wasmta/mta/internal/meter"
	"github.com/wasmta/wasmta/mta/internal/testpeer"
)

// compileC compiles a file of testdata for a machine without a system.
func compileC(t testing.TB, file string, flags ...string) []byte {
	t.Helper()
	clang := testpeer.Need(t, "clang-14", "clang-14")
	testpeer.Need(t, "wasm-ld-14", "lld-14")
	out := filepath.Join(t.TempDir(), "out.wasm")
	args := append([]string{"--target=wasm32", "-O2", "-nostdlib", "-mbulk-memory", "-Wl,--no-entry", "-o", out}, flags...)
	if text, err := exec.Command(clang, append(args, filepath.Join("testdata", file))...).CombinedOutput(); err != nil {
		t.Fatalf("clang: %v\n%s", err, text)
	}
	wasm, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	return wasm
}

// kernels are the exports of bench.c with how much work to give them.
var kernels = []struct {
	name string
	n    uint64
}{
	{"empty", 10_000_000}, {"fib", 27}, {"base64", 50}, {"sort", 2}, {"sha", 5}, {"scan", 20},
	{"interpret", 200_000}, {"pointers", 2_000_000}, {"copies", 500_000},
}

// BenchmarkMeter does the same work plain and metered in turn, and reports the
// best time of each, which a busy machine disturbs the least.
func BenchmarkMeter(b *testing.B) {
	wasm := compileC(b, "bench.c")
	h := &host{slice: 1 << 20, stack: 1 << 20}
	plain, metered := start(b, nil, wasm), start(b, h, wasm)
	for _, k := range kernels {
		b.Run(k.name, func(b *testing.B) {
			best := [2]time.Duration{math.MaxInt64, math.MaxInt64}
			for b.Loop() {
				for i, mod := range []api.Module{plain, metered} {
					before := time.Now()
					if _, err := mod.ExportedFunction(k.name).Call(b.Context(), k.n); err != nil {
						b.Fatal(err)
					}
					best[i] = min(best[i], time.Since(before))
				}
			}
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(best[0].Seconds()*1e3, "plain-ms")
			b.ReportMetric(best[1].Seconds()*1e3, "metered-ms")
			b.ReportMetric(best[1].Seconds()/best[0].Seconds(), "ratio")
		})
	}
}

// TestKernels holds that the work of the benchmark has the same results
// metered, and costs the same fuel in slices of any size.
func TestKernels(t *testing.T) {
	wasm := compileC(t, "bench.c")
	plain := start(t, nil, wasm)
	hosts := []*host{{slice: 1, stack: 1 << 20}, {slice: 997, stack: 1 << 20}, {slice: 1 << 40, stack: 1 << 20}}
	var metered []api.Module
	for _, h := range hosts {
		metered = append(metered, start(t, h, wasm))
	}
	for _, k := range kernels {
		n := min(k.n, 1000)
		if k.name == "fib" {
			n = 15
		} else if n < 1000 {
			n = 1
		}
		want, err := plain.ExportedFunction(k.name).Call(t.Context(), n)
		if err != nil {
			t.Fatal(err)
		}
		for i, mod := range metered {
			got, err := mod.ExportedFunction(k.name).Call(t.Context(), n)
			if err != nil || got[0] != want[0] {
				t.Errorf("%s: %v, %v, want %v", k.name, got, err, want)
			}
			if used, first := hosts[i].used(mod), hosts[0].used(metered[0]); used != first {
				t.Errorf("%s: %d units in slices of %d, %d in slices of %d", k.name, used, hosts[i].slice, first, hosts[0].slice)
			}
		}
	}
}

// start instantiates wasm, rewritten if there is a host for it.
func start(t testing.TB, h *host, wasm []byte) api.Module {
	t.Helper()
	r := newRuntime(t)
	var mod api.Module
	var err error
	if h == nil {
		mod, err = r.Instantiate(t.Context(), wasm)
	} else {
		h.install(t, r)
		mod, err = h.instantiate(t.Context(), r, rewrite(t, wasm, meter.Options{}), moduleConfig)
	}
	if err != nil {
		t.Fatal(err)
	}
	return mod
}
