package toolchain

import (
	"fmt"
	"os"
	"regexp"
	"testing"

	"github.com/wasmta/wasmta/mta/internal/testpeer"
)

// TestReadmes builds the programs in the READMEs of the SDKs.
func TestReadmes(t *testing.T) {
	for _, tt := range []struct{ lang, folder, block, file string }{
		{"c", "c", "c", "plugin.c"},
		{"cpp", "c", "cpp", "plugin.cc"},
		{"rust", "rust", "rust", "plugin.rs"},
		{"zig", "zig", "zig", "plugin.zig"},
		{"assemblyscript", "assemblyscript", "ts", "plugin.ts"},
		{"javascript", "javascript", "js", "plugin.js"},
		{"python", "python", "python", "plugin.py"},
		{"ruby", "ruby", "ruby", "plugin.rb"},
	} {
		t.Run(tt.lang, func(t *testing.T) {
			t.Parallel()
			testpeer.NeedCompiler(t, tt.lang)
			readme, err := os.ReadFile("../../../sdk/" + tt.folder + "/README.md")
			if err != nil {
				t.Fatal(err)
			}
			program := regexp.MustCompile(fmt.Sprintf("(?s)```%s\n(.*?)```", tt.block)).FindSubmatch(readme)
			if program == nil {
				t.Fatal("there is no program")
			}
			dir := source(t, map[string]string{tt.file: string(program[1])})
			if _, err := (&Builder{CacheDir: t.TempDir()}).Build(t.Context(), dir); err != nil {
				t.Error(err)
			}
		})
	}
}
