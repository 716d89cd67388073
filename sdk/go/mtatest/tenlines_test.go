package mtatest

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestTenLines holds that the ten lines of the document are a plugin, and that
// they are ten.
func TestTenLines(t *testing.T) {
	b, err := os.ReadFile("testdata/hello/main.go")
	if err != nil {
		t.Fatal(err)
	}
	if got := Blocks(t, "../../README.md", "go")[0]; got != string(b) {
		t.Errorf("the first block of sdk/README.md is\n%s\nand testdata/hello/main.go is\n%s", got, b)
	}
	lines := 0
	for line := range strings.Lines(string(b)) {
		if strings.TrimSpace(line) != "" {
			lines++
		}
	}
	if lines != 9 { // the blank ones divide
		t.Errorf("a first plugin has %d lines", lines)
	}
	if testing.Short() {
		t.Skip("builds the plugin")
	}
	build := exec.Command("go", "build", "-trimpath", "-buildmode=c-shared",
		"-o", filepath.Join(t.TempDir(), "hello.wasm"), "./testdata/hello")
	build.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm")
	if out, err := build.CombinedOutput(); err != nil {
		t.Errorf("build: %v\n%s", err, out)
	}
}
