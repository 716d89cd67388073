package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

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
			all := mtatest.LoadDir(t, filepath.Join(folder, "testdata"))
			runCases(t, buildPlugin(t, folder), append(all, mtatest.LoadMarkdown(t, filepath.Join(folder, "README.md"))...))
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
