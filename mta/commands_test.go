package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

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
			runCases(t, module, mtatest.LoadDir(t, filepath.Join(folder, "testdata")))
		})
	}
}
