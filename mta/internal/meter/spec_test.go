package meter_test

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"

	"github.com/wasmta/wasmta/mta/internal/meter"
)

// TestSpec runs the scripts of the WebAssembly specification's test suite,
// which come inside wazero's module as wast2json wrote them, on every module
// as it is and rewritten: what one refuses the other refuses, and calls have
// the same results and traps. That wazero's own results are those of the
// specification is held by wazero's tests.
func TestSpec(t *testing.T) {
	engines := map[string]wazero.RuntimeConfig{
		"compiler":    wazero.NewRuntimeConfigCompiler(),
		"interpreter": wazero.NewRuntimeConfigInterpreter(),
	}
	dir := spectestDir(t)
	for name, engine := range engines {
		for _, version := range []string{"v1", "v2"} {
			features := map[string]api.CoreFeatures{"v1": api.CoreFeaturesV1, "v2": api.CoreFeaturesV2}[version]
			if version == "v1" {
				features |= api.CoreFeatureMutableGlobal | api.CoreFeatureMultiValue
			}
			t.Run(name+"/"+version, func(t *testing.T) {
				scripts, err := filepath.Glob(filepath.Join(dir, version, "testdata", "*.json"))
				if err != nil || len(scripts) < 70 {
					t.Fatalf("%d scripts, error %v", len(scripts), err)
				}
				commands := 0
				for _, path := range scripts {
					t.Run(strings.TrimSuffix(filepath.Base(path), ".json"), func(t *testing.T) {
						commands += runScript(t, path, engine.WithCoreFeatures(features), dir)
					})
				}
				t.Logf("%d scripts, %d commands", len(scripts), commands)
			})
		}
	}
}

func spectestDir(t testing.TB) string {
	t.Helper()
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/tetratelabs/wazero").Output()
	if err != nil {
		t.Fatalf("where is wazero's source: %v", err)
	}
	return filepath.Join(strings.TrimSpace(string(out)), "internal", "integration_test", "spectest")
}

// The format of wast2json.
type (
	script  struct{ Commands []command }
	command struct {
		Type, Name, Filename, As, Text string
		Line                           int
		ModuleType                     string `json:"module_type"`
		Action                         action
	}
	action struct {
		Type, Field, Module string
		Args                []value
	}
	value struct {
		Type     string
		LaneType string `json:"lane_type"`
		Value    any
	}
)

// A world is a runtime with the modules of one script.
type world struct {
	r     wazero.Runtime
	host  *host // nil: modules are not rewritten
	named map[string]api.Module
	last  api.Module
}

func newWorld(t *testing.T, config wazero.RuntimeConfig, dir string, h *host) *world {
	w := &world{r: wazero.NewRuntimeWithConfig(t.Context(), config), host: h, named: map[string]api.Module{}}
	t.Cleanup(func() { w.r.Close(context.Background()) })
	if h != nil {
		h.install(t, w.r)
	}
	spectest, err := os.ReadFile(filepath.Join(dir, "testdata", "spectest.wasm"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.load(t.Context(), spectest, ""); err != nil {
		t.Fatal(err)
	}
	return w
}

// load instantiates a module, rewritten if this is the world for that.
func (w *world) load(ctx context.Context, wasm []byte, name string) (api.Module, error) {
	config := wazero.NewModuleConfig()
	if name != "" {
		config = config.WithName(name)
	}
	if w.host == nil {
		return w.r.InstantiateWithConfig(ctx, wasm, config.WithStartFunctions())
	}
	m, err := meter.Rewrite(wasm, meter.Options{Dirty: func(_, name string) bool { return name == "print" }})
	if err != nil {
		return nil, err
	}
	return w.host.instantiate(ctx, w.r, m, config)
}

func runScript(t *testing.T, path string, config wazero.RuntimeConfig, dir string) int {
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var s script
	if err := json.Unmarshal(data, &s); err != nil {
		t.Fatal(err)
	}
	plain, metered := newWorld(t, config, dir, nil), newWorld(t, config, dir, &host{slice: 1000, stack: 1 << 16})
	for i, c := range s.Commands {
		if c.Type == "register" { // done with the module before it, as wazero names modules when it makes them
			continue
		}
		name := ""
		if i+1 < len(s.Commands) && s.Commands[i+1].Type == "register" {
			name = s.Commands[i+1].As
		}
		want, wantErr := plain.run(t, path, c, name)
		got, gotErr := metered.run(t, path, c, name)
		if err := differ(c, want, got, wantErr, gotErr); err != nil {
			t.Errorf("line %d: %s %s: %v", c.Line, c.Type, cmp.Or(c.Action.Field, c.Filename), err)
		}
	}
	return len(s.Commands)
}

// run does one command, and returns a call's results.
func (w *world) run(t *testing.T, path string, c command, name string) ([]uint64, error) {
	switch {
	case c.Filename != "":
		if c.ModuleType == "text" {
			return nil, nil
		}
		wasm, err := os.ReadFile(filepath.Join(filepath.Dir(path), c.Filename))
		if err != nil {
			t.Fatal(err)
		}
		mod, err := w.load(t.Context(), wasm, name)
		if c.Type == "module" {
			w.last = mod
			if c.Name != "" {
				w.named[c.Name] = mod
			}
		}
		return nil, err
	case c.Action.Type == "invoke", c.Action.Type == "get":
		mod := w.last
		if c.Action.Module != "" {
			mod = w.named[c.Action.Module]
		}
		if c.Action.Type == "get" {
			return []uint64{mod.ExportedGlobal(c.Action.Field).Get()}, nil
		}
		if w.host != nil {
			defer w.host.fill(mod) // also after a trap
		}
		var args []uint64
		for _, v := range c.Action.Args {
			args = append(args, v.bits()...)
		}
		return mod.ExportedFunction(c.Action.Field).Call(t.Context(), args...)
	}
	t.Fatalf("unknown command %+v", c)
	return nil, nil
}

// differ compares what a command did to a module as it was and rewritten, and
// with the kind of command.
func differ(c command, want, got []uint64, wantErr, gotErr error) error {
	succeeds := map[string]bool{"module": true, "action": true, "assert_return": true}
	if succeeds[c.Type] && wantErr != nil {
		return fmt.Errorf("as it was: %w", wantErr)
	}
	switch {
	case (wantErr == nil) != (gotErr == nil):
		return fmt.Errorf("error %v, want %v", gotErr, wantErr)
	case c.Type == "assert_exhaustion":
		if !errors.Is(gotErr, errStack) {
			return fmt.Errorf("error %v, want %v", gotErr, errStack)
		}
	case (c.Type == "assert_trap" || c.Type == "assert_uninstantiable") && kind(gotErr) != kind(wantErr):
		if strings.Contains(kind(wantErr), "start function") && strings.Contains(kind(wantErr), kind(gotErr)) {
			return nil
		}
		return fmt.Errorf("trap %q, want %q", kind(gotErr), kind(wantErr))
	case !slices.Equal(got, want):
		return fmt.Errorf("result %#x, want %#x", got, want)
	}
	return nil
}

// bits is a value as wazero takes it.
func (v value) bits() []uint64 {
	lanes, ok := v.Value.([]any)
	if !ok {
		s, _ := v.Value.(string)
		return []uint64{bits(v.Type, s)}
	}
	width := map[string]int{"i8": 8, "i16": 16, "i32": 32, "i64": 64, "f32": 32, "f64": 64}[v.LaneType]
	out := make([]uint64, 2)
	for i, l := range lanes {
		at := i * width
		out[at/64] |= bits(v.LaneType, l.(string)) << (at % 64)
	}
	return out
}

// bits reads one number. wazero takes the reference 0 for null, so an
// externref is one more than the script says.
func bits(typ, s string) uint64 {
	switch {
	case s == "null" || s == "":
		return 0
	case strings.HasPrefix(s, "nan") && strings.HasSuffix(typ, "32"):
		return 0x7fc00000
	case strings.HasPrefix(s, "nan"):
		return 0x7ff8000000000000
	}
	n, err := strconv.ParseUint(s, 10, 64)
	if err != nil {
		signed, _ := strconv.ParseInt(s, 10, 64)
		n = uint64(signed)
		if strings.HasSuffix(typ, "32") {
			n = uint64(uint32(n))
		}
	}
	if typ == "externref" {
		n++
	}
	return n
}
