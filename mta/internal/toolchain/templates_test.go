package toolchain

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/wasmta/wasmta/mta/internal/testpeer"
	"github.com/wasmta/wasmta/sdk/bundle"
	"github.com/wasmta/wasmta/sdk/templates"
)

// TestTemplates builds the folder of a new plugin, in each language, far from
// this checkout: twice, in other folders and with other caches, which makes no
// difference.
func TestTemplates(t *testing.T) {
	for _, l := range templates.Languages {
		t.Run(l.Name, func(t *testing.T) {
			t.Parallel()
			testpeer.NeedCompiler(t, l.Name)
			dir := newPlugin(t, l)
			module, err := (&Builder{CacheDir: t.TempDir()}).Build(t.Context(), dir)
			if err != nil {
				t.Fatal(err)
			}
			again, err := (&Builder{CacheDir: t.TempDir()}).Build(t.Context(), newPlugin(t, l))
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(module, again) {
				t.Errorf("two builds are not equal: %s and %s", digest(module), digest(again))
			}
			b, err := bundle.Read(module)
			if err != nil {
				t.Fatal(err)
			}
			loop := b != nil && b.Mode == bundle.Loop // says its hooks when it is started
			if !loop && !bytes.Contains(module, []byte("on_message")) {
				t.Error("the module has no hook")
			}
			if bytes.Contains(module, []byte(dir)) {
				t.Error("the module has paths of this machine")
			}
		})
	}
}

func newPlugin(t testing.TB, l templates.Language) (dir string) {
	t.Helper()
	dir = t.TempDir()
	files, err := l.Files("greeting")
	if err != nil {
		t.Fatal(err)
	}
	for name, b := range files {
		file := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}
