package main

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/wasmta/wasmta/mta/internal/daemon"
	"github.com/wasmta/wasmta/mta/internal/testpeer"
	"github.com/wasmta/wasmta/sdk/conformance/kit"
)

// corpus is a folder of real messages beside the repository.
const corpus = "../../shared/corpus"

// languages are those with an SDK.
var languages = []string{"go", "rust", "c", "cpp", "zig", "assemblyscript", "javascript", "python", "ruby"}

// filters has the conformance filter, in a folder for each language.
const filters = "../sdk/conformance/filters"

// TestConformance holds the conformance filter of every language to the same
// octets.
func TestConformance(t *testing.T) {
	if testing.Short() {
		t.Skip("builds a plugin in every language")
	}
	messages := kit.Generate(200, 1)
	more, err := kit.Folder(corpus)
	if err != nil {
		t.Logf("without the corpus: %v", err)
	}
	messages = append(messages, more...)
	folders, err := os.ReadDir(filters)
	if err != nil {
		t.Fatal(err)
	}
	for _, lang := range languages {
		if !slices.ContainsFunc(folders, func(e os.DirEntry) bool { return e.Name() == lang }) {
			t.Errorf("no filter in %s", lang)
		}
	}
	for _, folder := range folders {
		lang := folder.Name()
		t.Run(lang, func(t *testing.T) {
			testpeer.NeedCompiler(t, lang)
			report, err := daemon.Conform(t.Context(), filepath.Join(filters, lang), messages, nil)
			if err != nil {
				t.Fatal(err)
			}
			if report.Cases < 200*len(kit.Configs()) {
				t.Errorf("only %d cases were run", report.Cases)
			}
			for _, d := range report.Differences[:min(len(report.Differences), 5)] {
				t.Errorf("%s, configuration %s: %s", d.Case, d.Config, d.What)
			}
			if n := len(report.Differences); n > 0 {
				t.Errorf("%d of %d cases differ", n, report.Cases)
			}
		})
	}
}
