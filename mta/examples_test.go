package main

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/wasmta/wasmta/mta/internal/cases"
	"github.com/wasmta/wasmta/mta/internal/daemon"
	"github.com/wasmta/wasmta/mta/internal/testpeer"
	"github.com/wasmta/wasmta/sdk/go/mtatest"
)

// exampleLanguages says what each filter of examples is written in.
var exampleLanguages = map[string]string{
	"archive":            "cpp",
	"attachment-policy":  "c",
	"disclaimer":         "go",
	"greylist":           "rust",
	"keyword-quarantine": "python",
	"link-rewrite":       "javascript",
	"list-fields":        "ruby",
	"plus-folders":       "rust",
	"recipient-footer":   "assemblyscript",
	"subject-tag":        "zig",
	"vacation":           "go",
}

// TestExamples builds every filter of examples, and runs its cases.
func TestExamples(t *testing.T) {
	if testing.Short() {
		t.Skip("builds a plugin in every language")
	}
	for name, lang := range exampleLanguages {
		t.Run(name, func(t *testing.T) {
			testpeer.NeedCompiler(t, lang)
			folder := filepath.Join("..", "examples", name)
			module, err := daemon.BuildPlugin(t.Context(), folder, nil)
			if err != nil {
				t.Fatal(err)
			}
			runCases(t, module, mtatest.LoadDir(t, filepath.Join(folder, "testdata")))
		})
	}
}

// runCases runs cases with a module, one after the other.
func runCases(t *testing.T, module []byte, all []mtatest.Case) {
	t.Helper()
	p := cases.Open(module, testCache(t))
	defer p.Close(context.Background())
	for _, c := range all {
		t.Run(c.Name, func(t *testing.T) {
			r, err := p.Run(t.Context(), c)
			if err != nil {
				t.Fatal(err)
			}
			mtatest.Check(t, c, r)
		})
	}
}

// TestEveryExampleIsTested finds filters that TestExamples does not run. Those
// of WASI command mode have tests of their own.
func TestEveryExampleIsTested(t *testing.T) {
	folders, err := filepath.Glob("../examples/*/testdata")
	if err != nil || len(folders) < len(exampleLanguages) {
		t.Fatalf("%d folders, %v", len(folders), err)
	}
	for _, folder := range folders {
		name := filepath.Base(filepath.Dir(folder))
		_, known := exampleLanguages[name]
		if _, err := os.Stat(filepath.Join(filepath.Dir(folder), "README.md")); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if commands, _ := filepath.Match("command-*", name); !known && !commands {
			t.Errorf("no test runs the cases of %s", name)
		}
	}
}

// testCache is a folder that keeps what is compiled for the next run: an
// interpreter takes many seconds.
func testCache(t testing.TB) string {
	t.Helper()
	dir, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(dir, "wasmta", "compiled") // that of `mta test`: an interpreter takes many seconds
}
