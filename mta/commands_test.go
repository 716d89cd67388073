package main

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/wasmta/wasmta/mta/internal/cases"
	"github.com/wasmta/wasmta/mta/internal/testpeer"
	"github.com/wasmta/wasmta/sdk/go/mtatest"
)

// TestCommands builds the examples that are WASI commands, in languages without
// an SDK, and runs their cases.
func TestCommands(t *testing.T) {
	for _, tt := range []struct{ name, compiler, pkg string }{
		{"command-nim", "nim", "nim"},
		{"command-d", "ldc2", "ldc"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			testpeer.NeedCompiler(t, "c") // they are linked by clang
			testpeer.Need(t, tt.compiler, tt.pkg)
			folder, file := filepath.Join("..", "examples", tt.name), filepath.Join(t.TempDir(), "plugin.wasm")
			if out, err := exec.CommandContext(t.Context(), filepath.Join(folder, "build.sh"), file).CombinedOutput(); err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			module, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			p := cases.Open(module, testCache(t))
			defer p.Close(context.Background())
			for _, c := range mtatest.LoadDir(t, filepath.Join(folder, "testdata")) {
				t.Run(c.Name, func(t *testing.T) {
					r, err := p.Run(t.Context(), c)
					if err != nil {
						t.Fatal(err)
					}
					mtatest.Check(t, c, r)
				})
			}
		})
	}
}
