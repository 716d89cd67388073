package main

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/wasmta/wasmta/mta/internal/cases"
	"github.com/wasmta/wasmta/sdk/go/mtatest"
)

// TestPluginsInWasm runs the cases of every plugin through its WebAssembly, as
// the server would. The plugin's own tests run the same cases natively, so
// that both must come to the same.
func TestPluginsInWasm(t *testing.T) {
	if testing.Short() {
		t.Skip("builds and compiles every plugin")
	}
	folders, err := filepath.Glob("../plugins/*/main.go")
	if err != nil || len(folders) == 0 {
		t.Fatalf("no plugins: %v", err)
	}
	for _, folder := range folders {
		folder = filepath.Dir(folder)
		t.Run(filepath.Base(folder), func(t *testing.T) {
			t.Parallel()
			p := cases.Open(buildPlugin(t, folder), "")
			defer p.Close(context.Background())
			all := mtatest.LoadDir(t, filepath.Join(folder, "testdata"))
			for _, c := range append(all, mtatest.LoadMarkdown(t, filepath.Join(folder, "README.md"))...) {
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

// buildPlugin builds a plugin as the server does.
func buildPlugin(t testing.TB, folder string) []byte {
	t.Helper()
	file := filepath.Join(t.TempDir(), "plugin.wasm")
	build := exec.Command("go", "build", "-trimpath", "-ldflags=-s -w", "-buildmode=c-shared", "-o", file, ".")
	build.Dir = folder
	build.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build %s: %v\n%s", folder, err, out)
	}
	module, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return module
}
